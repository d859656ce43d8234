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
#include "run/open_checkpoint.h"

namespace sluice::app {
namespace {

// Escapes terminal control sequences in generated text if stdout is a terminal.
std::string terminal_safe(std::string_view text) {
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

// Called after the text so far is printed.
void fail_if_interrupted(bool interrupted, const GenerateOptions& options) {
  if (interrupted)
    fail(ExitCode::kInterrupted, options.run,
         cat("stopped by ", stop_signal(),
             ", text is truncated; repeat the command for the full text"));
}

// Why generation ended: `eos` by the model, `length` by --tokens.
template <class Generated>
std::string_view stop_reason(const Generated& generated) {
  return generated.interrupted ? "interrupted" : generated.ended ? "eos" : "length";
}

void fill(const GenerateOptions& options, const run::OpenedCheckpoint& opened,
          const data::SpanRules& rules, const eval::SamplingConfig& sampling) {
  const eval::Filled filled =
      eval::fill_blanks(*opened.model, *opened.tokenizer, rules, options.prompt, sampling);
  if (!options.json) {
    std::cout << terminal_safe(filled.text) << "\n" << std::flush;
    if (filled.ended && std::all_of(filled.spans.begin(), filled.spans.end(),
                                    [](const auto& span) { return span.empty(); }))
      log::info("the model ended immediately, all blanks are empty; try another --seed");
    return fail_if_interrupted(filled.interrupted, options);
  }
  std::cout << config::to_json(GenerateOutput{.prompt = options.prompt,
                                              .text = filled.text,
                                              .spans = filled.spans,
                                              .stop = std::string(stop_reason(filled)),
                                              .interrupted = filled.interrupted,
                                              .step = opened.state.progress.step});
  fail_if_interrupted(filled.interrupted, options);
}

void continue_prompt(const GenerateOptions& options, const run::OpenedCheckpoint& opened,
                     const eval::SamplingConfig& sampling) {
  if (options.json) {
    const eval::Generated generated =
        eval::generate(*opened.model, *opened.tokenizer, options.prompt, sampling);
    std::cout << config::to_json(GenerateOutput{.prompt = options.prompt,
                                                .text = generated.text,
                                                .stop = std::string(stop_reason(generated)),
                                                .interrupted = generated.interrupted,
                                                .step = opened.state.progress.step});
    return fail_if_interrupted(generated.interrupted, options);
  }
  // Print the prompt together with the first piece, so that an error prints nothing.
  std::string unprinted = options.prompt;
  const eval::Generated generated = eval::generate(
      *opened.model, *opened.tokenizer, options.prompt, sampling, [&](std::string_view piece) {
        std::cout << terminal_safe(std::exchange(unprinted, "")) << terminal_safe(piece)
                  << std::flush;
      });
  std::cout << terminal_safe(unprinted) << "\n" << std::flush;
  if (generated.text.empty() && generated.ended)
    log::info(
        "the model ended immediately, its first token is the end of the document; try another "
        "--seed");
  fail_if_interrupted(generated.interrupted, options);
}

}  // namespace

void generate_command(const GenerateOptions& options) {
  check_run_argument(options.run);
  const run::OpenedCheckpoint opened =
      run::open_checkpoint(options.run, options.allow_older ? run::OlderCheckpoint::kAccept
                                                            : run::OlderCheckpoint::kRefuse);
  // stdout contains only the text
  if (!options.json)
    log::info(cat("step ", with_commas(opened.state.progress.step), " of ", options.run));
  const eval::SamplingConfig sampling{.num_tokens = options.num_tokens,
                                      .temperature = options.temperature,
                                      .top_k = options.top_k,
                                      .top_p = options.top_p,
                                      .seed = options.seed,
                                      .context_length = opened.run.objective->segment_length()};
  if (const auto rules = opened.run.objective->blanks(*opened.tokenizer)) {
    fill(options, opened, *rules, sampling);
  } else {
    continue_prompt(options, opened, sampling);
  }
}

}  // namespace sluice::app
