// Escaping for each output format. Names, remarks and settings come from untrusted files: these
// functions make any byte string harmless in their format and leave ordinary text unchanged.
// Control characters, including bidirectional ones, and invalid UTF-8 are escaped first, as by
// printable() (base/text_format.h). All escaping happens here; only results.json contains names
// verbatim.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sluice::report {

std::string html_text(std::string_view text);      // element content and quoted attributes
std::string html_lines(std::string_view text);     // the same, keeping newlines: for <pre>
std::string markdown_text(std::string_view text);  // within a line or a table cell
// a whole line: its start is not parsed as a list, a rule or code
std::string markdown_line(std::string_view text);
// pdflatex, T1; unsupported characters become U+4E2D
std::string latex_text(std::string_view text);
std::string console_text(std::string_view text);
std::string console_lines(std::string_view text);  // keeps newlines
// RFC 4180. An apostrophe before a leading = + - @ (also full-width or after spaces) prevents
// spreadsheets from interpreting the field as a formula; numbers are unchanged.
std::string csv_field(std::string_view text);

// Numbers as shown in tables: U+2212 for minus, "–" if unknown.
inline constexpr std::string_view kUnknown = "–", kMinus = "−";
std::string number_text(std::optional<double> value, int digits);
std::string signed_text(std::optional<double> value, int digits);  // "+0.0120", "−0.0410", "0.0000"
std::string p_text(std::optional<double> p);                       // "0.38", "0.012", "< 0.001"
// "4,718,592"; "7.90e+10" for values of 1e10 or more
std::string count_text(double value);

// capitalizes the first letter (ASCII) and adds a period if it is missing
std::string sentence(std::string text);

std::size_t num_characters(std::string_view text);  // of UTF-8
// truncated, with "…" as the last character
std::string shortened(std::string_view text, std::size_t max_characters);

}  // namespace sluice::report
