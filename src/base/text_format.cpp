#include "base/text_format.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "base/error.h"

namespace sluice {
namespace {

// Length in bytes of the UTF-8 character at the start of `text`; 0 if it is invalid (overlong forms
// and surrogates included).
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const auto is_continuation = [&](std::size_t i) { return (byte(i) & 0xC0U) == 0x80U; };
  const unsigned first = byte(0), second = byte(1);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return is_continuation(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const bool allowed = (first != 0xE0 || second >= 0xA0) && (first != 0xED || second < 0xA0);
    return allowed && is_continuation(1) && is_continuation(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const bool allowed = (first != 0xF0 || second >= 0x90) && (first != 0xF4 || second < 0x90);
    return allowed && is_continuation(1) && is_continuation(2) && is_continuation(3) ? 4 : 0;
  }
  return 0;
}

std::string escaped(unsigned char byte) {
  if (byte == '\n') return "\\n";
  if (byte == '\r') return "\\r";
  if (byte == '\t') return "\\t";
  constexpr std::string_view kDigits = "0123456789abcdef";
  return {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 0xf]};
}

unsigned code_point(std::string_view character) {
  const auto first = static_cast<unsigned char>(character.front());
  unsigned code = character.size() == 1 ? first : first & (0x7FU >> character.size());
  for (const char byte : character.substr(1))
    code = code << 6 | (static_cast<unsigned char>(byte) & 0x3FU);
  return code;
}

// Characters that a terminal or a browser interprets or hides instead of displaying.
bool is_control(unsigned code) {
  struct CodeRange {
    unsigned first, last;
  };
  constexpr std::array<CodeRange, 9> kControls = {{{0x00, 0x1F},      // C0
                                                   {0x7F, 0x9F},      // DEL, C1
                                                   {0x061C, 0x061C},  // Arabic letter mark
                                                   // left-to-right and right-to-left mark
                                                   {0x200E, 0x200F},
                                                   // line and paragraph separator
                                                   {0x2028, 0x2029},
                                                   // bidirectional embedding and override
                                                   {0x202A, 0x202E},
                                                   {0x2066, 0x2069},  // bidirectional isolates
                                                   {0xFEFF, 0xFEFF},  // byte order mark
                                                   // noncharacters, not allowed in XML
                                                   {0xFFFE, 0xFFFF}}};
  return std::any_of(kControls.begin(), kControls.end(),
                     [&](const CodeRange& c) { return code >= c.first && code <= c.last; });
}

// \u202e; code points below U+0080 as bytes (\x1b).
std::string escaped_character(unsigned code) {
  if (code < 0x80) return escaped(static_cast<unsigned char>(code));
  constexpr std::string_view kDigits = "0123456789abcdef";
  return {'\\',
          'u',
          kDigits[code >> 12],
          kDigits[code >> 8 & 0xf],
          kDigits[code >> 4 & 0xf],
          kDigits[code & 0xf]};
}

std::string two_units(std::int64_t count, std::int64_t per, const char* large, const char* small) {
  return count % per == 0 ? cat(count / per, large)
                          : cat(count / per, large, " ", count % per, small);
}

}  // namespace

namespace detail {
namespace {

template <std::size_t kSize, class... Value>
std::string_view digits_of(std::array<char, kSize>& digits, Value... value) {
  const char* const end = std::to_chars(digits.data(), digits.data() + kSize, value...).ptr;
  return {digits.data(), static_cast<std::size_t>(end - digits.data())};
}

}  // namespace

Piece::Piece(long long value) : text_(digits_of(digits_, value)) {}

Piece::Piece(unsigned long long value) : text_(digits_of(digits_, value)) {}

Piece::Piece(double value)
    : text_(digits_of(digits_, value, std::chars_format::general, /*precision=*/6)) {}

std::string join(std::initializer_list<Piece> pieces) {
  std::size_t size = 0;
  for (const Piece& piece : pieces) size += piece.text().size();
  std::string text;
  text.reserve(size);
  for (const Piece& piece : pieces) text += piece.text();
  return text;
}

}  // namespace detail

std::string fixed(double value, int digits) {
  if (std::isnan(value)) return "nan";  // ignore the sign
  const int size = std::snprintf(nullptr, 0, "%.*f", digits, value);
  invariant(size >= 0, "fixed: snprintf failed");
  std::string text(static_cast<std::size_t>(size) + 1, '\0');
  std::snprintf(text.data(), text.size(), "%.*f", digits, value);
  text.pop_back();
  return text;
}

std::string shortest(double value) {
  if (std::isnan(value)) return "nan";
  std::array<char, 40> text{};
  const auto result = std::to_chars(text.data(), text.data() + text.size(), value);
  return {text.data(), result.ptr};
}

std::string short_number(double value) {
  if (std::isnan(value)) return "nan";
  std::array<char, 40> text{};
  const auto result =
      std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::general, 3);
  return {text.data(), result.ptr};
}

std::string count_of(std::int64_t count, std::string_view unit) {
  const std::string text = cat(with_commas(count), " ");
  if (count == 1) return cat(text, unit);
  if (unit.ends_with("ry")) return cat(text, unit.substr(0, unit.size() - 1), "ies");
  return cat(text, unit, unit.ends_with("s") || unit.ends_with("ch") ? "es" : "s");
}

std::string with_commas(std::int64_t value) {
  std::string text = std::to_string(value);
  const std::size_t first_digit = value < 0 ? 1 : 0;
  for (std::size_t i = text.size(); i > first_digit + 3;) {
    i -= 3;
    text.insert(i, 1, ',');
  }
  return text;
}

std::string human_bytes(std::uint64_t bytes) {
  constexpr std::array kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return cat(bytes, " B");
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  // 1024.0 after rounding becomes 1.0 of the next unit
  while (value >= 1023.95 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return cat(fixed(value, value < 99.95 ? 1 : 0), " ", kUnits[unit]);
}

std::string human_duration(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0 || seconds > 1e12) return "?";
  if (seconds < 0.9995) return cat(fixed(seconds * 1000, 0), " ms");
  if (seconds < 9.95) return cat(fixed(seconds, 1), " s");
  const auto whole = static_cast<std::int64_t>(std::llround(seconds));
  if (whole < 60) return cat(whole, " s");
  if (whole < 3600) return two_units(whole, 60, " min", " s");
  const std::int64_t minutes = (whole + 30) / 60;
  if (minutes < 24 * 60) return two_units(minutes, 60, " h", " min");
  return two_units((minutes + 30) / 60, 24, " d", " h");
}

std::string printable(std::string_view text, std::size_t max_bytes) {
  std::string out;
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    std::string piece;
    if (length == 0) {
      piece = escaped(static_cast<unsigned char>(text.front()));
    } else {
      const unsigned code = code_point(text.substr(0, length));
      piece = is_control(code) ? escaped_character(code) : std::string(text.substr(0, length));
    }
    if (out.size() + piece.size() > max_bytes) return out + "...";
    out += piece;
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

}  // namespace sluice
