// Text as each output wants it. Names, remarks and settings come from files that anyone may have written: each of these makes any bytes
// harmless in its language, and leaves usual text as it is. Controls, bidirectional ones included, and broken UTF-8 are escaped first, as
// printable() of base/text_format.h does. No other place escapes anything; results.json alone keeps names as they are.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sluice::report {

std::string html_text(std::string_view text);      // element content and quoted attributes
std::string html_lines(std::string_view text);     // the same, line ends kept: for <pre>
std::string markdown_text(std::string_view text);  // within a line or a table's cell
std::string markdown_line(std::string_view text);  // a whole line: nothing at its start makes it a list, a rule or code
std::string latex_text(std::string_view text);     // pdflatex, T1; characters that it has no sign for as U+4E2D
std::string console_text(std::string_view text);
std::string console_lines(std::string_view text);  // line ends kept
// RFC 4180. An apostrophe before a leading = + - @ (also full-width, also after blanks) keeps spreadsheets from taking it for a formula; numbers stay.
std::string csv_field(std::string_view text);

// Numbers as the tables show them: U+2212 for minus, "–" where unknown.
inline constexpr std::string_view kUnknown = "–", kMinus = "−";
std::string number_text(std::optional<double> value, int digits);
std::string signed_text(std::optional<double> value, int digits);  // "+0.0120", "−0.0410", "0.0000"
std::string p_text(std::optional<double> p);                       // "0.38", "0.012", "< 0.001"
std::string count_text(double value);                              // "4,718,592"; "7.90e+10" from 1e10 on

std::string sentence(std::string text);  // with a capital, where it begins with an ASCII letter, and a full stop

std::size_t num_characters(std::string_view text);                         // of UTF-8
std::string shortened(std::string_view text, std::size_t max_characters);  // the end replaced by "…"

}  // namespace sluice::report
