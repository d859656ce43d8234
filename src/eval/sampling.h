// Parts of generation that need no model. Internal to eval and its tests.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "eval/generate.h"

namespace sluice::eval {

// kUsage for invalid settings.
void check(const SamplingConfig& config);

// Samples a token from softmax(logits / temperature), restricted to the top_k most likely tokens
// and to the smallest set of the most likely whose mass reaches top_p. `uniform` in [0, 1) selects
// the token. Ties are broken toward the lower id. NaN has probability 0.
std::int64_t choose_token(std::vector<float> logits, const SamplingConfig& config, double uniform);

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

}  // namespace sluice::eval
