#include <cmath>
#include <iostream>
#include <optional>

#include "app/action.h"
#include "app/commands.h"
#include "app/figures.h"
#include "app/outputs.h"
#include "app/train_start.h"
#include "base/error.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/shell.h"
#include "base/text_format.h"
#include "run/session.h"

namespace sluice::app {
namespace {

// `program`: as invoked, so that the last line can be copied to a shell.
void print(const run::Outcome& outcome, const std::string& program) {
  const run::Summary& s = outcome.summary;
  std::cout << "held-out perplexity ";
  const auto initial = s.initial_log_perplexity
                           ? perplexity_text(std::exp(*s.initial_log_perplexity), 1)
                           : std::nullopt;
  if (initial && outcome.initial_is_comparable) std::cout << *initial << " before, ";
  std::cout << (s.figures.perplexity
                    ? perplexity_text(*s.figures.perplexity, 2).value_or("not finite")
                    : "not measured")
            << " after " << count_of(s.step, "step");
  const auto per_word =
      s.figures.word_perplexity ? perplexity_text(*s.figures.word_perplexity, 1) : std::nullopt;
  if (s.figures.bits_per_byte)
    std::cout << " (" << fixed(*s.figures.bits_per_byte, 3) << " bits per byte"
              << (per_word ? cat(", ", *per_word, " per word") : "") << ")";
  std::cout << "\nrun         " << printable(s.run_directory, std::string::npos) << "\ncheckpoint  "
            << printable(s.checkpoint, std::string::npos) << "\nsample      " << program
            << " generate " << shell_path(s.run_directory) << " --prompt "
            << shell_word(outcome.prompt) << "\n";
}

run::Outcome train(const TrainOptions& options) {
  const run::SessionOptions session = read_start(options);
  try {
    return run::run_training(session);
  } catch (const UserError& error) {
    const bool can_continue = error.code() == ExitCode::kInterrupted ||
                              error.code() == ExitCode::kIo || error.code() == ExitCode::kPeerLost;
    const std::string command = run::resume_command(session), what = error.what();
    // --fresh may have failed before it replaced the old run; do not suggest to continue that one.
    if (!can_continue || session.mode == store::StartMode::kFresh ||
        what.find(command) != std::string::npos || !store::is_run_directory(session.config.run.dir))
      throw;
    throw UserError(error.code(), cat(what, "; continue with `", command, "`"));
  }
}

std::string json_of(const run::Outcome& outcome) {
  return config::to_json(
      TrainOutput{.summary = outcome.summary, .peak_memory_bytes = peak_memory_bytes()});
}

}  // namespace

std::string train_json(const TrainOptions& options) { return json_of(train(options)); }

void train_command(const TrainOptions& options) {
  const run::Outcome outcome = train(options);
  if (!outcome.is_reported) {
    if (outcome.code != ExitCode::kOk) throw OtherOutcome{static_cast<int>(outcome.code)};
    return;
  }
  if (options.json) {
    std::cout << json_of(outcome);
  } else {
    print(outcome, options.program);
  }
}

}  // namespace sluice::app
