// Finds the files of a run if a command bases in another working directory or the tree was moved.
//
// Relative paths in RUN/config.yaml refer to the working directory of the run's latest `train`. The
// candidates for it, in this order: `working_directory` of RUN/run.json; the path of the run
// without a relative run.dir (older runs, moved trees); the current working directory. Checkpoints
// contain no paths. Prepared data is identified by its fingerprint, a corpus by its content, so a
// wrong candidate is never used.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "store/run_directory.h"
#include "train/run_config.h"

namespace sluice::run {

using BaseDirectories = std::vector<std::filesystem::path>;

// RUN/config.yaml; none if it is missing or damaged, since a resume does not need it.
std::optional<train::RunConfig> own_config(const store::RunPaths& run);

// tokenizer.model; empty if the tokenizer is trained or of another type.
std::string tokenizer_model_path(const train::RunConfig& config);

// Candidates in order. `run_dir`: run.dir of the run's own configuration.
BaseDirectories base_directories(const store::RunPaths& run, const std::string& run_dir);

// The first candidate for `prepared_dir` with finished data of `fingerprint`, otherwise the first
// candidate.
std::string find_prepared_dir(const std::string& prepared_dir, const std::string& fingerprint,
                              const BaseDirectories& bases);

// Resolves the relative paths in the `config` of a resume: corpus.train, corpus.valid and
// tokenizer.model. A path that is also in the run's own configuration is relative to the
// candidates; a new path is relative to the current directory or, if nothing is found there, to the
// candidates. corpus.prepared_dir is set to the candidate with the data. The other fields do not
// change.
train::RunConfig with_resolved_paths(train::RunConfig config, const store::RunPaths& run,
                                     const std::string& fingerprint);

}  // namespace sluice::run
