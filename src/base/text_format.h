// Conversion of values to text, without a formatting library: LibTorch and Debian ship different
// versions of fmt under the same name, and g++ 12 has no std::format.
#pragma once

#include <cstdint>
#include <sstream>
#include <string>
#include <string_view>

namespace sluice {

// Concatenates the stream output of the arguments: cat("step ", 3) == "step 3".
template <class... Args>
std::string cat(const Args&... args) {
  std::ostringstream out;
  (out << ... << args);
  return std::move(out).str();
}

std::string fixed(double value, int digits);  // 3.14159, 2 -> "3.14"
std::string shortest(double value);           // shortest exact representation: 0.1, 1e-06
std::string short_number(double value);       // 3 significant digits: 0.00082312 -> "0.000823"
std::string count_of(std::int64_t count, std::string_view unit);  // "1 step", "1,200 steps"
std::string with_commas(std::int64_t value);                      // 1234567 -> "1,234,567"
std::string human_bytes(std::uint64_t bytes);                     // 1536 -> "1.5 KiB"
std::string human_duration(double seconds);                       // 3723 -> "1 h 2 min"

// Sanitizes untrusted text for a terminal or a message. Escapes control bytes, DEL and invalid
// UTF-8 (\n, \x1b), C1 controls (U+0080 to U+009F), bidirectional controls (U+061C, U+200E, U+200F,
// U+202A to U+202E, U+2066 to U+2069), line and paragraph separators, U+FEFF, U+FFFE and U+FFFF
// (\u202e). Text beyond `max_bytes` is replaced by "...", never inside a character or an escape.
std::string printable(std::string_view text, std::size_t max_bytes = 80);

}  // namespace sluice
