#include <iostream>
#include <nlohmann/json.hpp>
#include <utility>

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
                                      .context_length = opened.config.train.sequence_length};
  if (options.json) {
    const std::string text = eval::generate(*opened.model, *opened.tokenizer, options.prompt, sampling);
    std::cout << nlohmann::ordered_json{{"prompt", options.prompt}, {"text", text}, {"step", opened.state.progress.step}}.dump() << "\n";
    return;
  }
  // The prompt with the first piece: nothing is printed of what is refused.
  std::string unprinted = options.prompt;
  eval::generate(*opened.model, *opened.tokenizer, options.prompt, sampling,
                 [&](std::string_view piece) { std::cout << std::exchange(unprinted, "") << piece << std::flush; });
  std::cout << unprinted << "\n";
}

}  // namespace sluice::app
