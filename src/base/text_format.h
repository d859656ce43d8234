// Conversion of values to text, without a formatting library: LibTorch and Debian ship different
// versions of fmt under the same name, and g++ 12 has no std::format.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace sluice {

namespace detail {

// An argument of cat(). Without templates: with streams, every call would instantiate a function
// and resolve `<<` among LibTorch's overloads, which takes the compiler long.
class Piece {
 public:
  Piece(std::string_view text) : text_(text) {}
  Piece(const std::string& text) : text_(text) {}
  Piece(const char* text) : text_(text) {}
  Piece(char c) : digits_{c}, text_(digits_.data(), 1) {}
  Piece(bool value) : Piece(static_cast<long long>(value)) {}
  Piece(int value) : Piece(static_cast<long long>(value)) {}
  Piece(unsigned value) : Piece(static_cast<unsigned long long>(value)) {}
  Piece(long value) : Piece(static_cast<long long>(value)) {}
  Piece(unsigned long value) : Piece(static_cast<unsigned long long>(value)) {}
  Piece(long long value);
  Piece(unsigned long long value);
  Piece(float value) : Piece(static_cast<double>(value)) {}
  Piece(double value);  // six digits
  Piece(const Piece&) = delete;
  Piece& operator=(const Piece&) = delete;
  std::string_view text() const { return text_; }

 private:
  std::array<char, 24> digits_;
  std::string_view text_;
};

template <class T, class... Types>
inline constexpr bool is_any_of = (std::is_same_v<T, Types> || ...);
template <class T>
inline constexpr bool is_piece =
    is_any_of<std::decay_t<T>, std::string, std::string_view, const char*, char*, char, bool, int,
              unsigned, long, unsigned long, long long, unsigned long long, float, double>;

// The value itself if a Piece can hold it, otherwise its stream output.
template <class T>
decltype(auto) printed(const T& value) {
  if constexpr (is_piece<T>) {
    return (value);
  } else {
    std::ostringstream out;
    out << value;
    return std::move(out).str();
  }
}

std::string join(std::initializer_list<Piece> pieces);

}  // namespace detail

// Concatenates the stream output of the arguments: cat("step ", 3) == "step 3".
template <class... Args>
std::string cat(const Args&... args) {
  return detail::join({detail::Piece(detail::printed(args))...});
}

std::string fixed(double value, int digits);  // 3.14159, 2 -> "3.14"
std::string shortest(double value);           // shortest exact representation: 0.1, 1e-06
std::string short_number(double value);       // 3 significant digits: 0.00082312 -> "0.000823"
std::string count_of(std::int64_t count, std::string_view unit);  // "1 step", "1,200 entries"
std::string with_commas(std::int64_t value);                      // 1234567 -> "1,234,567"
std::string human_bytes(std::uint64_t bytes);                     // 1536 -> "1.5 KiB"
std::string human_duration(double seconds);                       // 3723 -> "1 h 2 min"

// Sanitizes untrusted text for a terminal or a message. Escapes control bytes, DEL and invalid
// UTF-8 (\n, \x1b), C1 controls (U+0080 to U+009F), bidirectional controls (U+061C, U+200E, U+200F,
// U+202A to U+202E, U+2066 to U+2069), line and paragraph separators, U+FEFF, U+FFFE and U+FFFF
// (\u202e). Text beyond `max_bytes` is replaced by "...", never inside a character or an escape.
std::string printable(std::string_view text, std::size_t max_bytes = 80);

}  // namespace sluice
