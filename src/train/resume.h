// What a resumed run may change, and the data that it goes on with.
#pragma once

#include <string>

#include "data/prepared.h"
#include "store/run_directory.h"
#include "train/checkpoint.h"
#include "train/run_config.h"

namespace sluice::train {

// Compares the resolved configuration of a run's checkpoint with one that is asked for, paths apart. Shows every accepted change, with a
// note where bit-equality with an unbroken run ends; throws kUsage with a line for each that is refused.
void check_changes(const store::RunPaths& run, const RunConfig& stored, const RunConfig& requested);

// The refusals alone, of a configuration as it is written: before the data is looked at. Its length is left out.
void check_refused_changes(const store::RunPaths& run, const RunConfig& stored, const RunConfig& written);

// kUsage where the length asked for, `steps`, is below the steps done. `written` says which key gave it.
void check_length(const RunConfig& written, std::int64_t steps, std::int64_t steps_done);

// The run that goes on.
struct ResumedRun {
  const store::RunPaths& paths;
  const CheckpointState& state;
  const std::string& tokenizer_hash;  // of the checkpoint
};

// The prepared data that the run was started with. Text and tokenizer that `written` names must be what they were, by content: another path
// is fine, other content is kBadData, named by its key, and so is kMissingInput for files that are not there. Files that are gone are not
// missed (a line says so) where their paths are still those of the run and the prepared data is there.
data::PreparedData open_data_of(const ResumedRun& run, const RunConfig& written, std::int64_t num_threads);

}  // namespace sluice::train
