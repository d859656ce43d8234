// A training run from its configuration to its last checkpoint: the command `train`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "base/error.h"
#include "config/field.h"
#include "run/start_settings.h"
#include "store/held_out_figures.h"
#include "store/run_directory.h"
#include "train/run_config.h"

namespace sluice::run {

struct SessionOptions {
  train::RunConfig config{};  // unresolved; run.dir is the run directory
  store::StartMode mode = store::StartMode::kNew;
  std::string command_line{};        // for run.json
  std::string program = "sluice";    // as called, for commands in messages
  StartSettings settings{};          // to store for the next start
  std::vector<std::string> notes{};  // logged first
  // file for the first batches (dump_batches.h); empty: none
  std::string dump_batches{};
  std::int64_t dump_steps = 0;
};

// Summary of a finished run. Figures are missing if there was no evaluation.
struct Summary {
  std::string run_directory{}, checkpoint{};
  std::int64_t step = 0;
  std::uint64_t tokens = 0;
  std::int64_t num_parameters = 0;
  std::optional<double> initial_log_perplexity{};
  store::HeldOutFigures figures{};  // of the last evaluation
  std::optional<std::uint64_t> num_dropped_tokens{};
  double seconds = 0;
  std::optional<double> tokens_per_s{};
  std::optional<double> mfu{}, mfu_denominator{};
  std::string mfu_product{};
  bool repeatable = true;
  std::string data_fingerprint{};

  static constexpr auto fields() {
    using config::field;
    using S = Summary;
    return std::tuple{
        field<&S::run_directory>("Run directory."),
        field<&S::checkpoint>("The last checkpoint."),
        field<&S::step>("Finished optimizer steps."),
        field<&S::tokens>("Target tokens trained on."),
        field<&S::num_parameters>("Parameters of the model; tied ones count once."),
        field<&S::initial_log_perplexity>(
            "`log_perplexity` before the first step, of `evaluate.max_tokens` tokens."),
        config::rows_of<&S::figures>(),
        field<&S::num_dropped_tokens>(
            "Tokens at the end of the held-out set that do not fill a segment."),
        field<&S::seconds>("Training time of this process."),
        field<&S::tokens_per_s>("Of this process; null if it trained no step."),
        field<&S::mfu>("Model FLOPs utilization of this process: FLOPs per second as a fraction of "
                       "`mfu_denominator`; null if it trained no step."),
        field<&S::mfu_denominator>(
            "FLOPs per second of `mfu_product`, measured at the start of this process."),
        field<&S::mfu_product>("The matrix product whose rate is the denominator."),
        field<&S::repeatable>(
            "Whether a second run on the same machine and software gives the same "
            "bits: false on a GPU with `train.deterministic: false`."),
        field<&S::data_fingerprint>("Fingerprint of the prepared data.")};
  }
};

struct Outcome {
  // False in a process of a distributed run other than rank 0, which has nothing to report.
  bool is_reported = true;
  ExitCode code = ExitCode::kOk;  // of such a process: kInterrupted after a stop
  Summary summary{};
  std::string prompt{};  // words of the held-out text, for `generate` (suggested_prompt.h)
  // whether the initial and the final log-perplexity are of the same tokens
  bool initial_is_comparable = true;
};

// The shell command that continues the run.
std::string resume_command(const SessionOptions& options);

// Opens the run directory, prepares or opens the data, starts or resumes, trains, evaluates, saves.
//
// As a process of a job (cluster/member.h) it trains with the others; rank 0 alone writes, and all
// read the run directory and the prepared data, so these lie where every machine sees them.
//
// kFresh renames the old run only after everything up to the training has succeeded. A new run
// saves step 0 before its first step, so there is always a checkpoint to roll back to. Errors:
// kUsage for an unsuitable directory or configuration, kInterrupted after the checkpoint is saved,
// kDiverged according to the policy, kNoCheckpoint if the run has checkpoints but none verifies;
// kPeerLost if another process of the run is lost or differs;
// kIo if memory is exhausted (run/out_of_memory.h); kIo, kBadData and kMissingInput are passed on.
Outcome run_training(const SessionOptions& options);

}  // namespace sluice::run
