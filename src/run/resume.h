// Checks of a resumed run: allowed changes of the configuration, and the data.
#pragma once

#include <string>

#include "data/prepared.h"
#include "store/run_directory.h"
#include "train/checkpoint.h"
#include "train/run_config.h"

namespace sluice::run {

// Compares the resolved configuration of a run's checkpoint with the requested one, without paths.
// Logs every accepted change and whether the run is no longer bit-identical to an uninterrupted
// one; throws kUsage with a line for each refused change.
void check_changes(const store::RunPaths& run, const train::RunConfig& stored,
                   const train::RunConfig& requested);

// Checks for refused changes only, before the data is read. `written` is unresolved; its length is
// ignored.
void check_refused_changes(const store::RunPaths& run, const train::RunConfig& stored,
                           const train::RunConfig& written);

// kUsage if the requested length, `steps`, is below the finished steps. `written` tells which key
// specified it.
void check_length(const train::RunConfig& written, std::int64_t steps, std::int64_t steps_done);

// The run to resume.
struct ResumedRun {
  const store::RunPaths& paths;
  const train::CheckpointState& state;
  const std::string& tokenizer_hash;  // of the checkpoint
};

// Opens the prepared data of the run. Text and tokenizer of `written` must have the same content as
// at the start; the path may differ. Other content is kBadData, missing files are kMissingInput;
// the message names the key. Missing files are accepted, with a log line, if the paths did not
// change and the prepared data exists.
data::PreparedData open_data_of(const ResumedRun& run, const train::RunConfig& written,
                                std::int64_t num_threads);

}  // namespace sluice::run
