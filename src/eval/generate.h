// Samples text from a model.
//
// A text is a function of (weights, prompt, settings, seed): random number n of a text depends on
// the seed and n alone, and logits do not depend on the other prompts of a batch
// (model/decoding.h).
//
// The model reads at most the last `context_length` tokens. Up to that length each step reads one
// token and reuses the cached keys and values of the others. A longer text drops its oldest token
// at each step; every other token then has another position and context, so the whole window is
// read again at each step.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "model/language_model.h"
#include "text/tokenizer.h"

namespace sluice::eval {

// The order of the filters is that of `transformers`: repetition penalty, temperature, top-k,
// top-p of the remaining mass, min-p.
struct SamplingConfig {
  std::int64_t num_tokens = 128;
  double temperature = 1.0;  // 0: greedy
  std::int64_t top_k = 0;    // 0: all
  double top_p = 1.0;        // nucleus (Holtzman et al. 2020)
  // Drops tokens less likely than min_p times the most likely one (Nguyen et al. 2024); 0: none.
  double min_p = 0;
  // Divides positive and multiplies negative logits of tokens in the prompt or the text (Keskar et
  // al. 2019, CTRL); for fill_blanks, of tokens in the spans. 1: none.
  double repetition_penalty = 1;
  std::vector<std::string> stop;   // the text ends before the first of these strings
  bool log_probabilities = false;  // whether Generated has them
  std::uint64_t seed = 1;
  std::int64_t context_length = 256;  // maximum number of tokens that the model reads
  bool may_stop = true;               // a stop request (base/signals.h) ends the texts
};

struct Generated {
  std::string text;                  // without the prompt and without a stop string
  bool interrupted = false;          // truncated by a stop signal (base/signals.h)
  bool ended = false;                // by the end token
  bool stopped = false;              // by a stop string
  std::vector<std::int32_t> tokens;  // that form the text and the stop string, without end token
  // of each token if wanted, by the model's softmax without penalty, temperature and filters
  std::vector<double> log_probabilities;
};

// Continues `prompt` until num_tokens, the end token, a stop string or a stop signal. `on_text`
// receives pieces of valid UTF-8 as soon as they are final.
Generated generate(const model::LanguageModel& model, const text::Tokenizer& tokenizer,
                   std::string_view prompt, const SamplingConfig& config,
                   const std::function<void(std::string_view)>& on_text = {});

// Where a text comes from, for errors.
struct Origin {
  std::string name;  // their subject: "prompt", "prompts.jsonl:3"
  ExitCode code = ExitCode::kUsage;
};

struct Prompt {
  std::string text;
  std::uint64_t seed = 1;  // instead of SamplingConfig::seed
  Origin origin = {"prompt"};
};
// Continued `batch` at a time; a finished one is replaced by the next.
struct Prompts {
  std::span<const Prompt> all;
  std::int64_t batch = 1;
};
// `on_done` receives the texts in the order of the prompts. After a stop signal all remaining texts
// are `interrupted`.
void generate_all(const model::LanguageModel& model, const text::Tokenizer& tokenizer,
                  const Prompts& prompts, const SamplingConfig& config,
                  const std::function<void(std::size_t, const Generated&)>& on_done);

}  // namespace sluice::eval
