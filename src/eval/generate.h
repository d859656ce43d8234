// Samples text from a model.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "model/language_model.h"
#include "text/tokenizer.h"

namespace sluice::eval {

struct SamplingConfig {
  std::int64_t num_tokens = 128;
  double temperature = 1.0;  // 0: greedy
  std::int64_t top_k = 0;    // 0: all
  double top_p = 1.0;        // nucleus (Holtzman et al. 2020)
  std::uint64_t seed = 1;
  std::int64_t context_length = 256;  // maximum number of tokens that the model reads
};

struct Generated {
  std::string text;          // without the prompt
  bool interrupted = false;  // truncated by a stop signal (base/signals.h)
  bool ended = false;        // by the end token
};

// Continues `prompt` until num_tokens, the end token or a stop signal. `on_text` receives pieces of
// valid UTF-8 as soon as they are final.
Generated generate(const model::LanguageModel& model, const text::Tokenizer& tokenizer,
                   std::string_view prompt, const SamplingConfig& config,
                   const std::function<void(std::string_view)>& on_text = {});

}  // namespace sluice::eval
