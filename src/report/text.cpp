#include "report/text.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iomanip>
#include <limits>
#include <sstream>
#include <utility>

#include "base/text_format.h"
#include "config/number_text.h"

namespace sluice::report {
namespace {

std::string clean(std::string_view text) {
  return printable(text, std::numeric_limits<std::size_t>::max());
}

// Replaces each character for which `replacement` is not empty.
template <class Replacement>
std::string replaced(std::string_view text, Replacement replacement) {
  std::string out;
  for (const char c : clean(text)) {
    const std::string_view other = replacement(c);
    if (other.empty()) {
      out += c;
    } else {
      out += other;
    }
  }
  return out;
}

std::string by_lines(std::string_view text, std::string (*escape)(std::string_view)) {
  std::string out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    out.append(escape(text.substr(0, end))).append("\n");
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

bool begins_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U; }

}  // namespace

std::string html_text(std::string_view text) {
  return replaced(text, [](char c) -> std::string_view {
    if (c == '&') return "&amp;";
    if (c == '<') return "&lt;";
    if (c == '>') return "&gt;";
    if (c == '"') return "&quot;";
    if (c == '\'') return "&#39;";
    return "";
  });
}

std::string html_lines(std::string_view text) { return by_lines(text, html_text); }

std::string markdown_text(std::string_view text) {
  return replaced(text, [](char c) -> std::string_view {
    if (c == '&') return "&amp;";
    if (c == '<') return "&lt;";
    if (c == '>') return "&gt;";
    // GitHub interprets $...$ as a formula even if the dollar signs are escaped
    if (c == '$') return "<span>\\$</span>";
    if (c == '\\') return "\\\\";
    if (c == '|') return "\\|";
    if (c == '`') return "\\`";
    if (c == '*') return "\\*";
    if (c == '_') return "\\_";
    if (c == '[') return "\\[";
    if (c == ']') return "\\]";
    if (c == '!') return "\\!";
    if (c == '#') return "\\#";
    if (c == '~') return "\\~";
    return "";
  });
}

std::string markdown_line(std::string_view text) {
  std::string line = markdown_text(text);
  const std::size_t digits = line.find_first_not_of("0123456789");
  if (line.empty() || digits == std::string::npos) return line;
  if (std::string_view("-+=").find(line[0]) != std::string_view::npos) return "\\" + line;
  if (line[0] == ' ') return "&#32;" + line.substr(1);
  if (digits > 0 && (line[digits] == '.' || line[digits] == ')')) line.insert(digits, 1, '\\');
  return line;
}

std::string console_text(std::string_view text) { return clean(text); }

std::string console_lines(std::string_view text) { return by_lines(text, console_text); }

std::string csv_field(std::string_view text) {
  constexpr std::array<std::string_view, 8> kFormulaSigns = {"=",  "+",  "-",  "@",
                                                             "＝", "＋", "－", "＠"};
  std::string field = clean(text);
  const std::string_view trimmed =
      std::string_view(field).substr(std::min(field.find_first_not_of(' '), field.size()));
  const bool is_formula = std::any_of(kFormulaSigns.begin(), kFormulaSigns.end(),
                                      [&](auto sign) { return trimmed.starts_with(sign); });
  if (is_formula && !config::is_number(field)) field.insert(0, 1, '\'');
  if (field.find_first_of(",;\"") == std::string::npos)
    return field;  // a semicolon separates fields in some languages
  std::string quoted = "\"";
  for (const char c : field) quoted.append(c == '"' ? 2 : 1, c);
  return quoted + "\"";
}

std::string number_text(std::optional<double> value, int digits) {
  if (!value || !std::isfinite(*value)) return std::string(kUnknown);
  const std::string text = fixed(std::abs(*value), digits);
  const bool is_zero = text.find_first_not_of("0.") == std::string::npos;
  return cat(*value < 0 && !is_zero ? kMinus : "", text);
}

std::string signed_text(std::optional<double> value, int digits) {
  const std::string text = number_text(value, digits);
  const bool positive = value && *value > 0 && text.find_first_of("123456789") != std::string::npos;
  return cat(positive ? "+" : "", text);
}

std::string p_text(std::optional<double> p) {
  if (!p || !std::isfinite(*p)) return std::string(kUnknown);
  if (*p < 0.001) return "< 0.001";
  return fixed(*p, *p < 0.0995 ? 3 : 2);
}

std::string count_text(double value) {
  if (!std::isfinite(value) || value <= 0) return std::string(kUnknown);
  if (value < 1e10) return with_commas(std::llround(value));
  std::ostringstream out;
  out << std::scientific << std::setprecision(2) << value;
  return std::move(out).str();
}

std::string sentence(std::string text) {
  if (text.empty()) return text;
  if (text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
  return text.ends_with('.') ? text : text + ".";
}

std::size_t num_characters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), begins_character));
}

std::string shortened(std::string_view text, std::size_t max_characters) {
  if (num_characters(text) <= max_characters) return std::string(text);
  std::size_t kept = 0;
  std::string out;
  for (const char byte : text) {
    if (begins_character(byte) && ++kept >= max_characters) break;
    out += byte;
  }
  return out + "…";
}

}  // namespace sluice::report
