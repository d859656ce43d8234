#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <utility>
#include <variant>

#include "app/commands.h"
#include "app/outputs.h"
#include "app/run_argument.h"
#include "base/error.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/text_format.h"
#include "eval/fill.h"
#include "eval/generate.h"
#include "train/open_checkpoint.h"

namespace sluice::app {
namespace {

// A model may write what a terminal takes for a command; elsewhere its text goes out as it is.
std::string shown(std::string_view text) {
  static const bool is_terminal = isatty(STDOUT_FILENO) == 1;
  if (!is_terminal) return std::string(text);
  std::string out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of("\n\t"), text.size());
    out += printable(text.substr(0, end), std::string::npos);
    out += text.substr(end, 1);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

// The text so far is out by then; the code says that it is not all.
void require_whole(bool interrupted, const GenerateOptions& options) {
  if (interrupted)
    fail(ExitCode::kInterrupted, options.run, cat("stopped by ", stop_signal(), ", the text is cut"),
         "the same command again for all of it");
}

// Why there is no more text: `eos` the model ended it, `length` --tokens did.
template <class Generated>
std::string_view stop_of(const Generated& generated) {
  return generated.interrupted ? "interrupted" : generated.ended ? "eos" : "length";
}

void fill(const GenerateOptions& options, const train::OpenedCheckpoint& opened, const data::SpanRules& rules,
          const eval::SamplingConfig& sampling) {
  const eval::Filled filled = eval::fill_blanks(*opened.model, *opened.tokenizer, rules, options.prompt, sampling);
  if (!options.json) {
    std::cout << shown(filled.text) << "\n" << std::flush;
    if (filled.ended && std::all_of(filled.spans.begin(), filled.spans.end(), [](const auto& span) { return span.empty(); }))
      log::info("the model ended at once: it left every blank empty; another --seed may give text");
    return require_whole(filled.interrupted, options);
  }
  std::cout << config::to_json(GenerateOutput{.prompt = options.prompt,
                                              .text = filled.text,
                                              .spans = filled.spans,
                                              .stop = std::string(stop_of(filled)),
                                              .interrupted = filled.interrupted,
                                              .step = opened.state.progress.step});
  require_whole(filled.interrupted, options);
}

void go_on(const GenerateOptions& options, const train::OpenedCheckpoint& opened, const eval::SamplingConfig& sampling) {
  if (options.json) {
    const eval::Generated generated = eval::generate(*opened.model, *opened.tokenizer, options.prompt, sampling);
    std::cout << config::to_json(GenerateOutput{.prompt = options.prompt,
                                                .text = generated.text,
                                                .stop = std::string(stop_of(generated)),
                                                .interrupted = generated.interrupted,
                                                .step = opened.state.progress.step});
    return require_whole(generated.interrupted, options);
  }
  // The prompt with the first piece: nothing is printed of what is refused.
  std::string unprinted = options.prompt;
  const eval::Generated generated = eval::generate(*opened.model, *opened.tokenizer, options.prompt, sampling, [&](std::string_view piece) {
    std::cout << shown(std::exchange(unprinted, "")) << shown(piece) << std::flush;
  });
  std::cout << shown(unprinted) << "\n" << std::flush;
  if (generated.text.empty() && generated.ended)
    log::info("the model ended at once: the first token that it drew is the end of the document; another --seed may give text");
  require_whole(generated.interrupted, options);
}

}  // namespace

void generate_command(const GenerateOptions& options) {
  check_run_argument(options.run);
  const train::OpenedCheckpoint opened =
      train::open_checkpoint(options.run, options.allow_older ? train::Older::kAccept : train::Older::kRefuse);
  if (!options.json) log::info(cat("step ", with_commas(opened.state.progress.step), " of ", options.run));  // stdout has the text alone
  const eval::SamplingConfig sampling{.num_tokens = options.num_tokens,
                                      .temperature = options.temperature,
                                      .top_k = options.top_k,
                                      .top_p = options.top_p,
                                      .seed = options.seed,
                                      .context_length = opened.run.objective->segment_length()};
  if (const auto rules = opened.run.objective->blanks(*opened.tokenizer)) {
    fill(options, opened, *rules, sampling);
  } else {
    go_on(options, opened, sampling);
  }
}

}  // namespace sluice::app
