// Where the files of a run are found when a command starts in another working directory, or after the tree was moved.
//
// A relative path in RUN/config.yaml starts from the working directory of the run's latest `train`. That directory is one of these, tried
// in this order: `working_directory` of RUN/run.json; what is left of the run's place without run.dir, where that is relative (runs that
// did not write it down, moved trees); the working directory of this process. Checkpoints hold no paths. What is found is the
// same in each: prepared data is known by its fingerprint, a corpus by its content.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "store/run_directory.h"
#include "train/run_config.h"

namespace sluice::train {

using Starts = std::vector<std::filesystem::path>;

// RUN/config.yaml; nothing where it is not there or is damaged: a resume does not need it.
std::optional<RunConfig> own_config(const store::RunPaths& run);

// tokenizer.model; empty where the tokenizer is trained or is of another kind.
std::string given_model(const RunConfig& config);

// `run_dir`: that of the run's own configuration.
Starts starts_of(const store::RunPaths& run, const std::string& run_dir);

// The first `start/prepared_dir` that has finished data of `fingerprint`; the first one of all where none has.
std::string find_prepared_dir(const std::string& prepared_dir, const std::string& fingerprint, const Starts& starts);

// `config` as given to a resume. A relative path that the run's own configuration has too starts from where the run was started; one
// that is new here starts from here, and where it leads nowhere, from there. Those are corpus.train, corpus.valid and tokenizer.model; of
// corpus.prepared_dir the place that has the data counts. The rest stays as it is.
RunConfig anchored(RunConfig config, const store::RunPaths& run, const std::string& fingerprint);

}  // namespace sluice::train
