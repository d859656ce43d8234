#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <utility>

#include "app/commands.h"
#include "app/json_lines.h"
#include "app/output_file.h"
#include "app/run_argument.h"
#include "app/text_records.h"
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

GenerateOutput output_of(const eval::Prompt& prompt, const eval::Generated& generated) {
  return {.prompt = prompt.text,
          .text = generated.text,
          .tokens = {generated.tokens.begin(), generated.tokens.end()},
          .log_probabilities = generated.log_probabilities,
          .stop = generated.interrupted ? "interrupted"
                  : generated.stopped   ? "stop_string"
                  : generated.ended     ? "eos"
                                        : "length",
          .interrupted = generated.interrupted};
}

GenerateOutput output_of(const eval::Prompt& prompt, const eval::Filled& filled) {
  return {.prompt = prompt.text,
          .text = filled.text,
          .spans = filled.spans,
          .tokens = {filled.tokens.begin(), filled.tokens.end()},
          .log_probabilities = filled.log_probabilities,
          .stop = filled.interrupted ? "interrupted"
                  : filled.ended     ? "eos"
                                     : "length",
          .interrupted = filled.interrupted};
}

std::vector<eval::Prompt> prompts_of(const GenerateOptions& options) {
  if (options.input.empty()) return {{options.prompt.value_or(""), options.seed, {"--prompt"}}};
  std::vector<eval::Prompt> prompts;
  for (const JsonLine& line : read_json_lines(options.input)) {
    auto read = config::from_json<GenerateInput>(line.text, line.origin);
    prompts.push_back({std::move(read.prompt),
                       read.seed.value_or(options.seed),
                       {line.origin, ExitCode::kBadData}});
  }
  return prompts;
}

// A model, and whether it fills blanks.
struct Generator {
  const run::OpenedCheckpoint& opened;
  const std::optional<data::SpanRules>& rules;
  const eval::SamplingConfig& sampling;
};

// Writes one JSON object per prompt.
void write_json(const GenerateOptions& options, const Generator& generator,
                const std::vector<eval::Prompt>& prompts) {
  const run::OpenedCheckpoint& opened = generator.opened;
  JsonLineWriter out(options.output);
  bool interrupted = false;
  const auto write = [&](std::size_t i, const auto& result) {
    GenerateOutput output = output_of(prompts[i], result);
    output.step = opened.state.progress.step;
    interrupted = interrupted || result.interrupted;
    // Of a file of prompts, only finished texts.
    if (result.interrupted && !options.input.empty()) return;
    out.write(config::to_json(output));
  };
  const eval::Prompts all{prompts, options.batch};
  if (generator.rules) {
    eval::fill_all(*opened.model, *opened.tokenizer, *generator.rules, all, generator.sampling,
                   write);
  } else {
    eval::generate_all(*opened.model, *opened.tokenizer, all, generator.sampling, write);
  }
  out.close();
  fail_if_interrupted(interrupted, options);
}

void print_filled(const GenerateOptions& options, const Generator& generator,
                  const std::string& prompt) {
  const eval::Filled filled =
      eval::fill_blanks(*generator.opened.model, *generator.opened.tokenizer, *generator.rules,
                        prompt, generator.sampling);
  std::cout << terminal_safe(filled.text) << "\n" << std::flush;
  if (filled.ended && std::all_of(filled.spans.begin(), filled.spans.end(),
                                  [](const auto& span) { return span.empty(); }))
    log::info("the model ended immediately, all blanks are empty; try another --seed");
  fail_if_interrupted(filled.interrupted, options);
}

void print_continued(const GenerateOptions& options, const Generator& generator,
                     const std::string& prompt) {
  // Print the prompt together with the first piece, so that an error prints nothing.
  std::string unprinted = prompt;
  const eval::Generated generated =
      eval::generate(*generator.opened.model, *generator.opened.tokenizer, prompt,
                     generator.sampling, [&](std::string_view piece) {
                       std::cout << terminal_safe(std::exchange(unprinted, ""))
                                 << terminal_safe(piece) << std::flush;
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
  require(!options.prompt || options.input.empty(), ExitCode::kUsage, "--prompt",
          "cannot be combined with --input");
  require(options.output.empty() || !options.input.empty(), ExitCode::kUsage, "--output",
          "requires --input");
  check_output_file("--output", options.output, options.input);
  const std::vector<eval::Prompt> prompts = prompts_of(options);
  check_run_argument(options.run);
  const run::OpenedCheckpoint opened = open_run_argument(options.run, options.allow_older);
  const bool writes_json = options.json || !options.input.empty();
  // stdout contains only the text
  if (!writes_json)
    log::info(cat("step ", with_commas(opened.state.progress.step), " of ", options.run));
  const eval::SamplingConfig sampling{.num_tokens = options.num_tokens,
                                      .temperature = options.temperature,
                                      .top_k = options.top_k,
                                      .top_p = options.top_p,
                                      .min_p = options.min_p,
                                      .repetition_penalty = options.repetition_penalty,
                                      .stop = options.stop,
                                      .log_probabilities = writes_json,
                                      .seed = options.seed,
                                      .context_length = opened.run.objective->segment_length()};
  const auto rules = opened.run.objective->blanks(*opened.tokenizer);
  const Generator generator{opened, rules, sampling};
  if (writes_json) return write_json(options, generator, prompts);
  if (rules) return print_filled(options, generator, prompts.front().text);
  print_continued(options, generator, prompts.front().text);
}

}  // namespace sluice::app
