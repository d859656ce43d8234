// The parts of generation that need no model. Used inside eval and by its tests.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "eval/generate.h"

namespace sluice::eval {

// kUsage for settings that make no sense.
void check(const SamplingConfig& config);

// The token at `uniform`, in [0, 1), of the distribution softmax(logits / temperature), cut to the top_k likeliest and to the smallest
// set of the likeliest whose mass reaches top_p. Equal logits: the lower id counts as likelier. NaN counts as impossible.
std::int64_t choose_token(std::vector<float> logits, const SamplingConfig& config, double uniform);

// Text that grows token by token, given out in pieces of valid UTF-8. A character whose bytes are not complete yet is held back; bytes
// that cannot become one are shown as U+FFFD.
class TextStream {
 public:
  // `decoded`: all text so far, a longer one at each call. Returns what is sure and was not given out yet; all of it once `finished`.
  std::string_view add(const std::string& decoded, bool finished);
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace sluice::eval
