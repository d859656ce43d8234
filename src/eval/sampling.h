// Parts of generation that need no model. Internal to eval and its tests.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "eval/generate.h"

namespace sluice::eval {

// kUsage for invalid settings.
void check(const SamplingConfig& config);

// Samples a token from softmax(logits / temperature), restricted to the top_k most likely tokens,
// to the smallest set of the most likely whose mass reaches top_p, and to those of at least min_p
// times the highest probability. `uniform` in [0, 1) selects the token. Ties are broken toward the
// lower id. NaN has probability 0.
std::int64_t choose_token(std::vector<float> logits, const SamplingConfig& config, double uniform);

// The repetition penalty for `ids`; each id counts once.
void penalize(std::vector<float>& logits, std::span<const std::int32_t> ids, double penalty);

// ln softmax(logits)[token] in float64.
double log_probability(std::span<const float> logits, std::int64_t token);

// Converts text that grows token by token to pieces of valid UTF-8. An incomplete character is held
// back; bytes that cannot become a character are replaced by U+FFFD.
class TextStream {
 public:
  // `decoded`: all text so far, longer at each call. Returns the text that is final and was not
  // returned before; everything that remains if `finished`.
  std::string_view add(const std::string& decoded, bool finished);
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// Ends text before the first stop string, wherever tokens divide it.
class StopFilter {
 public:
  explicit StopFilter(std::span<const std::string> stop) : stop_(stop) {}
  // `text`: all text so far, longer at each call. Returns the length of the part that is final: all
  // of it except an end that may become a stop string, unless `finished`. If a stop string occurs,
  // the part before the earliest one is final, and found() is true.
  std::size_t final_length(std::string_view text, bool finished);
  bool found() const { return found_; }

 private:
  std::span<const std::string> stop_;
  std::size_t searched_ = 0;  // no stop string begins before this position
  bool found_ = false;
};

}  // namespace sluice::eval
