#include "config/number_text.h"

#include <algorithm>
#include <charconv>

#include "base/text_format.h"

namespace sluice::config {
namespace {

constexpr long kMaxExponent = 100000;   // clamped here: such numbers never fit
constexpr std::size_t kMaxDigits = 30;  // more than any 64-bit number has

bool is_digit(char c) { return c >= '0' && c <= '9'; }

struct Decimal {
  bool negative = false;
  std::string digits;  // before and after the point, leading zeros kept
  long num_after_point = 0;
  bool has_point = false, has_exponent = false, leading_zeros = false;
  long exponent = 0;
};

std::string_view take_digits(std::string_view& text) {
  const auto length =
      static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), is_digit) - text.begin());
  const std::string_view digits = text.substr(0, length);
  text.remove_prefix(length);
  return digits;
}

bool take(std::string_view& text, std::string_view letters) {
  if (text.empty() || letters.find(text[0]) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

std::optional<Decimal> parse_decimal(std::string_view text) {
  Decimal d;
  d.negative = text.starts_with('-');
  take(text, "+-");
  const std::string_view before = take_digits(text);
  d.has_point = take(text, ".");
  const std::string_view after = d.has_point ? take_digits(text) : std::string_view();
  if (before.empty() && after.empty()) return std::nullopt;
  d.leading_zeros = before.size() > 1 && before[0] == '0';
  d.digits = cat(before, after);
  d.num_after_point = static_cast<long>(after.size());
  d.has_exponent = take(text, "eE");
  if (d.has_exponent) {
    const bool below = text.starts_with('-');
    take(text, "+-");
    const std::string_view exponent = take_digits(text);
    if (exponent.empty()) return std::nullopt;
    for (const char c : exponent) d.exponent = std::min(kMaxExponent, d.exponent * 10 + (c - '0'));
    if (below) d.exponent = -d.exponent;
  }
  return text.empty() ? std::optional(d) : std::nullopt;
}

// digits * 10^power without leading zeros; nullopt if it is not a whole number.
std::optional<std::string> shifted(std::string digits, long power) {
  digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size()));
  if (digits.empty()) return "0";
  while (power < 0 && digits.ends_with('0')) {
    digits.pop_back();
    ++power;
  }
  if (power < 0) return std::nullopt;
  digits.append(std::min(static_cast<std::size_t>(power), kMaxDigits), '0');
  return digits;
}

}  // namespace

bool is_number(std::string_view text) {
  const auto decimal = parse_decimal(text);
  return decimal && !decimal->leading_zeros;
}

std::optional<std::string> whole_number(std::string_view text) {
  const auto decimal = parse_decimal(text);
  if (!decimal || decimal->leading_zeros || (decimal->has_point && !decimal->has_exponent))
    return std::nullopt;
  const auto digits = shifted(decimal->digits, decimal->exponent - decimal->num_after_point);
  return digits ? std::optional(cat(decimal->negative ? "-" : "", *digits)) : std::nullopt;
}

std::optional<double> to_double(std::string_view number) {
  if (number.starts_with('+')) number.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
  return error == std::errc() && end == number.data() + number.size() ? std::optional(value)
                                                                      : std::nullopt;
}

std::optional<std::int64_t> scaled_exactly(std::string_view number, std::int64_t unit) {
  const auto decimal = parse_decimal(number);
  if (!decimal || decimal->negative) return std::nullopt;
  std::string digits = decimal->digits;
  long power = decimal->exponent - decimal->num_after_point;
  // 1.5GiB: divides each negative power of ten out of the digits and the unit, as 10 or 2 * 5.
  for (; power < 0; ++power) {
    if (digits.ends_with('0')) {
      digits.pop_back();
    } else if (unit % 10 == 0) {
      unit /= 10;
    } else {
      break;
    }
  }
  const auto whole = shifted(digits, std::max(power, 0L));
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(whole->data(), whole->data() + whole->size(), count);
  if (error != std::errc() || end != whole->data() + whole->size()) return std::nullopt;
  for (; power < 0; ++power) {
    if (count % 5 == 0 && unit % 2 == 0) {
      count /= 5;
      unit /= 2;
    } else if (count % 2 == 0 && unit % 5 == 0) {
      count /= 2;
      unit /= 5;
    } else {
      return std::nullopt;
    }
  }
  std::int64_t product = 0;
  return __builtin_mul_overflow(count, unit, &product) ? std::nullopt : std::optional(product);
}

std::pair<std::string_view, std::string_view> split_unit(std::string_view text) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  std::size_t end = text.size();
  while (end > 0 && is_letter(text[end - 1])) --end;
  const std::string_view unit = text.substr(end);
  if (end > 1 && text[end - 1] == ' ' && !unit.empty()) --end;
  return {text.substr(0, end), unit};
}

std::string expected_number(std::string_view text, std::string_view article) {
  const auto decimal = parse_decimal(text);
  if (decimal && decimal->leading_zeros) return cat(article, " without leading zeros");
  return "";
}

std::string suggested_number(std::string_view text) {
  text = text.substr(0, kMaxDigits);
  std::uint64_t number = 0;
  if (text.starts_with("0x") || text.starts_with("0X")) {
    const auto [end, error] =
        std::from_chars(text.data() + 2, text.data() + text.size(), number, 16);
    return error == std::errc() && end == text.data() + text.size() ? std::to_string(number) : "";
  }
  std::string cleaned(text);
  std::erase_if(cleaned, [](char c) { return c == '_' || c == ',' || c == '\''; });
  const auto decimal = parse_decimal(cleaned);
  if (!decimal) return "";
  const std::string sign = decimal->negative ? "-" : "";
  if (const auto whole = shifted(decimal->digits, decimal->exponent - decimal->num_after_point)) {
    return whole->size() < kMaxDigits ? sign + *whole : "";
  }
  if (!decimal->leading_zeros) return cleaned == text ? "" : cleaned;
  const std::size_t first = std::min(cleaned.find_first_not_of("+-0"), cleaned.size());
  return cat(sign, cleaned.compare(first, 1, ".") == 0 ? "0" : "", cleaned.substr(first));
}

}  // namespace sluice::config
