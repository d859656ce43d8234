#include <iostream>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "eval/generate.h"
#include "train/open_checkpoint.h"

namespace sluice::app {

void generate_command(const GenerateOptions& options) {
  const train::OpenedCheckpoint opened = train::open_checkpoint(options.run);
  const eval::SamplingConfig sampling{.num_tokens = options.num_tokens,
                                      .temperature = options.temperature,
                                      .top_k = options.top_k,
                                      .top_p = options.top_p,
                                      .seed = options.seed,
                                      .context_length = train::sequence_length(opened.config)};
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

}  // namespace sluice::app
