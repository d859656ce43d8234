// A training run from its configuration to its last checkpoint: what the command `train` calls.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "store/held_out_figures.h"
#include "store/run_directory.h"
#include "train/run_config.h"
#include "train/start_settings.h"

namespace sluice::train {

struct SessionOptions {
  RunConfig config{};  // as read, `auto`s included; run.dir says where
  store::StartMode mode = store::StartMode::kNew;
  std::string command_line{};        // for run.json
  std::string program = "sluice";    // as it was called, for commands that messages suggest
  StartSettings settings{};          // what this start amounts to, for the next one
  std::vector<std::string> notes{};  // said first
  std::string dump_batches{};        // also write the first batches to this file (dump_batches.h); empty: no
  std::int64_t dump_steps = 0;
};

// What a finished run has to say. The figures of evaluations are missing where there was none.
struct Summary {
  std::filesystem::path run_directory{}, checkpoint{};
  std::string fingerprint{};  // of the prepared data
  std::int64_t step = 0;
  std::uint64_t tokens = 0;  // target tokens trained on
  std::int64_t num_parameters = 0;
  std::string prompt{};                               // for `generate`: words of the held-out text (suggested_prompt.h)
  std::optional<double> initial_log_perplexity{};     // before the first step, of evaluate.max_tokens tokens
  bool initial_is_comparable = true;                  // it is of the tokens that the last one is of
  store::HeldOutFigures figures{};                    // of the last evaluation
  std::optional<std::uint64_t> num_dropped_tokens{};  // the tail of the held-out set that it leaves out
  double seconds = 0;                                 // this process spent training
  std::optional<double> tokens_per_s{};               // of this process; nothing where it had no step to do
};

// The command that continues the run, for a shell.
std::string resume_command(const SessionOptions& options);

// Opens the run directory, prepares or opens the data, starts or resumes, trains, evaluates, saves.
//
// kFresh renames the old run only when all of this but the training has gone well. A new run saves step 0 before its first step, so that there always is a checkpoint to return to.
// Errors: kUsage for a directory or configuration that does not fit, kInterrupted after everything was saved, kDiverged as the policy
// says, kNoCheckpoint where the run has checkpoints and none verifies, kIo, kBadData and kMissingInput as they come from below.
Summary run_training(const SessionOptions& options);

}  // namespace sluice::train
