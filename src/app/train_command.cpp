#include <cmath>
#include <iostream>
#include <optional>

#include "app/commands.h"
#include "app/figures.h"
#include "app/outputs.h"
#include "app/train_start.h"
#include "base/error.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/shell.h"
#include "base/text_format.h"
#include "train/session.h"

namespace sluice::app {
namespace {

TrainOutput output_of(const train::Summary& s) {
  return {.run_directory = s.run_directory.string(),
          .checkpoint = s.checkpoint.string(),
          .step = s.step,
          .tokens = s.tokens,
          .num_parameters = s.num_parameters,
          .initial_log_perplexity = s.initial_log_perplexity,
          .figures = s.figures,
          .num_dropped_tokens = s.num_dropped_tokens,
          .seconds = s.seconds,
          .tokens_per_s = s.tokens_per_s,
          .peak_memory_bytes = peak_memory_bytes(),
          .data_fingerprint = s.fingerprint};
}

// `program`: as it was called, so that the last line can be copied.
void print(const train::Summary& s, const std::string& program) {
  std::cout << "held-out perplexity ";
  const auto initial = s.initial_log_perplexity ? perplexity_text(std::exp(*s.initial_log_perplexity), 1) : std::nullopt;
  if (initial && s.initial_is_comparable) std::cout << *initial << " before, ";
  std::cout << (s.figures.perplexity ? perplexity_text(*s.figures.perplexity, 2).value_or("not finite") : "not measured") << " after "
            << count_of(s.step, "step");
  const auto per_word = s.figures.word_perplexity ? perplexity_text(*s.figures.word_perplexity, 1) : std::nullopt;
  if (s.figures.bits_per_byte)
    std::cout << " (" << fixed(*s.figures.bits_per_byte, 3) << " bits per byte" << (per_word ? cat(", ", *per_word, " per word") : "")
              << ")";
  std::cout << "\nrun         " << printable(s.run_directory.string(), std::string::npos) << "\ncheckpoint  "
            << printable(s.checkpoint.string(), std::string::npos) << "\nsample      " << program << " generate "
            << shell_path(s.run_directory.string()) << " --prompt " << shell_word(s.prompt) << "\n";
}

}  // namespace

void train_command(const TrainOptions& options) {
  const train::SessionOptions session = read_start(options);
  try {
    const train::Summary summary = train::run_training(session);
    if (options.json) {
      std::cout << config::to_json(output_of(summary));
    } else {
      print(summary, options.program);
    }
  } catch (const UserError& error) {
    const bool can_continue = error.code() == ExitCode::kInterrupted || error.code() == ExitCode::kIo;
    const std::string command = train::resume_command(session), what = error.what();
    // --fresh may have failed before it replaced the old run, which is not the one to continue.
    if (!can_continue || session.mode == store::StartMode::kFresh || what.find(command) != std::string::npos ||
        !store::is_run_directory(session.config.run.dir))
      throw;
    throw UserError(error.code(), cat(what, "; `", command, "` continues the run"));
  }
}

}  // namespace sluice::app
