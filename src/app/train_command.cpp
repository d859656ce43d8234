#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "app/commands.h"
#include "app/figures.h"
#include "app/json.h"
#include "app/train_start.h"
#include "base/error.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/shell.h"
#include "base/text_format.h"
#include "train/session.h"

namespace sluice::app {
namespace {

nlohmann::ordered_json to_json(const train::Summary& s) {
  return {{"run_directory", s.run_directory.string()},
          {"checkpoint", s.checkpoint.string()},
          {"step", s.step},
          {"tokens", s.tokens},
          {"num_parameters", s.num_parameters},
          {"initial_log_perplexity", or_null(s.initial_log_perplexity)},
          {"log_perplexity", or_null(s.log_perplexity)},
          {"perplexity", or_null(s.perplexity)},
          {"bits_per_byte", or_null(s.bits_per_byte)},
          {"word_perplexity", or_null(s.word_perplexity)},
          {"num_dropped_tokens", or_null(s.num_dropped_tokens)},
          {"seconds", s.seconds},
          {"tokens_per_s", or_null(s.tokens_per_s)},
          {"peak_memory_bytes", peak_memory_bytes()},
          {"data_fingerprint", s.fingerprint}};
}

// `program`: as it was called, so that the last line can be copied.
void print(const train::Summary& s, const std::string& program) {
  std::cout << "held-out perplexity ";
  const auto initial = s.initial_log_perplexity ? perplexity_text(std::exp(*s.initial_log_perplexity), 1) : std::nullopt;
  if (initial && s.initial_is_comparable) std::cout << *initial << " before, ";
  std::cout << (s.perplexity ? perplexity_text(*s.perplexity, 2).value_or("not finite") : "not measured") << " after "
            << count_of(s.step, "step");
  const auto per_word = s.word_perplexity ? perplexity_text(*s.word_perplexity, 1) : std::nullopt;
  if (s.bits_per_byte)
    std::cout << " (" << fixed(*s.bits_per_byte, 3) << " bits per byte" << (per_word ? cat(", ", *per_word, " per word") : "") << ")";
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
      std::cout << text_of(to_json(summary)) << "\n";
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
