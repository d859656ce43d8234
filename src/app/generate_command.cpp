#include <iostream>
#include <nlohmann/json.hpp>
#include <variant>

#include "app/commands.h"
#include "data/span_corruption.h"
#include "eval/fill.h"
#include "eval/generate.h"
#include "train/open_checkpoint.h"

namespace sluice::app {
namespace {

void fill(const GenerateOptions& options, const train::OpenedCheckpoint& opened, const data::SpanCorruptionConfig& objective,
          const eval::SamplingConfig& sampling) {
  const eval::Filled filled =
      eval::fill_blanks(*opened.model, *opened.tokenizer, data::span_rules(objective, *opened.tokenizer), options.prompt, sampling);
  if (!options.json) {
    std::cout << filled.text << "\n";
    return;
  }
  const nlohmann::ordered_json json = {
      {"prompt", options.prompt}, {"text", filled.text}, {"spans", filled.spans}, {"step", opened.state.progress.step}};
  std::cout << json.dump() << "\n";
}

void go_on(const GenerateOptions& options, const train::OpenedCheckpoint& opened, const eval::SamplingConfig& sampling) {
  if (options.json) {
    const std::string text = eval::generate(*opened.model, *opened.tokenizer, options.prompt, sampling);
    std::cout << nlohmann::ordered_json{{"prompt", options.prompt}, {"text", text}, {"step", opened.state.progress.step}}.dump() << "\n";
    return;
  }
  std::cout << options.prompt;
  eval::generate(*opened.model, *opened.tokenizer, options.prompt, sampling,
                 [](std::string_view piece) { std::cout << piece << std::flush; });
  std::cout << "\n";
}

}  // namespace

void generate_command(const GenerateOptions& options) {
  const train::OpenedCheckpoint opened = train::open_checkpoint(options.run);
  const eval::SamplingConfig sampling{.num_tokens = options.num_tokens,
                                      .temperature = options.temperature,
                                      .top_k = options.top_k,
                                      .top_p = options.top_p,
                                      .seed = options.seed,
                                      .context_length = train::sequence_length(opened.config)};
  if (const auto* objective = std::get_if<data::SpanCorruptionConfig>(&opened.config.objective)) {
    fill(options, opened, *objective, sampling);
  } else {
    go_on(options, opened, sampling);
  }
}

}  // namespace sluice::app
