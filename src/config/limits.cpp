#include <algorithm>
#include <cmath>
#include <limits>

#include "base/text_format.h"
#include "config/scalars.h"

namespace sluice::config {
namespace {

constexpr std::size_t kLongestCompared = 64;

// Edit distance with insertion, deletion, substitution and transposition of adjacent characters
// (optimal string alignment).
std::size_t num_edits(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before, last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] =
          std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before = last;
    last = row;
  }
  return last[b.size()];
}

// SwiGLU to swiglu, d-model to d_model.
std::string plain_spelling(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c == '-' ? '_' : c;
  return out;
}

// Whole numbers are written without an exponent: 1000000000, not 1e+09.
std::string number_words(double value) {
  const bool is_whole = std::abs(value) < 1e15 && value == std::floor(value);
  return is_whole ? std::to_string(static_cast<std::int64_t>(value)) : shortest(value);
}

}  // namespace

bool Limits::any_number() const { return std::isinf(low) && std::isinf(high) && divisor == 0; }

bool Limits::allow(long double number) const {
  if (number < low || number > high || (low_open && number == low)) return false;
  return divisor == 0 || std::fmod(number, static_cast<long double>(divisor)) == 0;
}

std::string Limits::words() const {
  std::string text;
  if (!std::isinf(low) && !std::isinf(high) && !low_open) {
    text = cat("from ", number_words(low), " to ", number_words(high));
  } else {
    if (!std::isinf(low))
      text = cat(low_open ? "greater than " : "of at least ", number_words(low));
    if (!std::isinf(high)) text += cat(text.empty() ? "" : ", ", "of at most ", number_words(high));
  }
  if (divisor != 0) text += cat(text.empty() ? "divisible by " : ", a multiple of ", divisor);
  return text;
}

std::string_view nearest(std::string_view asked, std::span<const std::string_view> names) {
  std::string_view best;
  std::size_t best_edits = std::numeric_limits<std::size_t>::max();
  if (asked.empty() || asked.size() > kLongestCompared) return best;
  const std::string text = plain_spelling(asked);
  for (const std::string_view listed : names) {
    const std::string name = plain_spelling(listed);
    const std::size_t edits = num_edits(text, name);
    // A prefix counts as near: `learning_rate_decay` for `learning_rate`, `rms` for `rmsnorm`.
    const bool starts_alike = std::min(text.size(), name.size()) >= 3 &&
                              (name.starts_with(text) || text.starts_with(name));
    const bool is_near = edits <= std::max<std::size_t>(1, std::min(text.size(), name.size()) / 3);
    if ((is_near || starts_alike) && edits < best_edits && text.size() > 1) {
      best = listed;
      best_edits = edits;
    }
  }
  return best;
}

}  // namespace sluice::config
