#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "app/commands.h"
#include "app/json.h"
#include "base/log.h"
#include "base/machine.h"
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
  if (s.initial_log_perplexity && s.initial_is_comparable) std::cout << fixed(std::exp(*s.initial_log_perplexity), 1) << " before, ";
  std::cout << (s.perplexity ? fixed(*s.perplexity, 2) : "not measured") << " after " << with_commas(s.step) << " steps";
  if (s.bits_per_byte && s.word_perplexity) {
    std::cout << " (" << fixed(*s.bits_per_byte, 3) << " bits per byte, " << fixed(*s.word_perplexity, 1) << " per word)";
  }
  std::cout << "\nrun         " << printable(s.run_directory.string(), std::string::npos) << "\ncheckpoint  "
            << printable(s.checkpoint.string(), std::string::npos) << "\nlook at it  " << program << " generate "
            << s.run_directory.string() << " --prompt \"In the " << (s.fills_blanks ? "___ of the ___" : "beginning") << "\"\n";
}

}  // namespace

void train_command(const TrainOptions& options) {
  train::SessionOptions session{.config = load_config(options.config),
                                .mode = options.mode,
                                .command_line = options.command_line,
                                .dump_batches = options.dump_batches,
                                .dump_steps = options.dump_steps};
  if (!options.run_dir.empty()) session.config.run.dir = options.run_dir;
  const train::Summary summary = train::run_training(session);
  if (options.json) {
    std::cout << to_json(summary).dump() << "\n";
  } else {
    print(summary, options.command_line.substr(0, options.command_line.find(' ')));
  }
}

}  // namespace sluice::app
