#include "report/text_table.h"

#include <algorithm>
#include <string_view>

#include "base/text_format.h"
#include "report/text.h"
#include "report/wording.h"

namespace sluice::report {
namespace {

// Replaces typographic characters by ASCII for the console.
std::string ascii_signs(std::string text) {
  for (const auto& [sign, plain] : {std::pair(kMinus, "-"), {kUnknown, "-"}, {kMark, "*"}}) {
    for (std::size_t at = text.find(sign); at != std::string::npos; at = text.find(sign, at))
      text.replace(at, sign.size(), plain);
  }
  return text;
}

std::string padded(const std::string& text, std::size_t width, bool flush_right) {
  const std::string space(width - std::min(width, num_characters(text)), ' ');
  return flush_right ? space + text : text + space;
}

std::string joined(const std::vector<std::string>& texts, std::string_view between) {
  std::string out;
  for (std::size_t i = 0; i < texts.size(); ++i) out.append(i == 0 ? "" : between).append(texts[i]);
  return out;
}

std::vector<std::string> titles_of(const TextTable& table) {
  std::vector<std::string> titles;
  for (const Column& column : table.columns) titles.push_back(column.title);
  return titles;
}

template <class Escape>
std::vector<std::string> escaped(const std::vector<std::string>& texts, Escape escape) {
  std::vector<std::string> out;
  for (const std::string& text : texts) out.push_back(escape(text));
  return out;
}

// CSS classes for the page width that a table needs to fit without scrolling.
std::string_view width_classes(std::size_t num_columns) {
  if (num_columns > 12) return " many more most";
  if (num_columns > 7) return " many more";
  return num_columns > 3 ? " many" : "";
}

}  // namespace

std::string markdown_table(const TextTable& table) {
  std::string out = cat("| ", joined(escaped(titles_of(table), markdown_text), " | "), " |\n|");
  for (const Column& column : table.columns) out += column.is_number ? "---:|" : ":---|";
  out += "\n";
  for (const auto& row : table.rows)
    out.append("| ").append(joined(escaped(row, markdown_text), " | ")).append(" |\n");
  return out;
}

std::string latex_tabular(const TextTable& table) {
  std::string out = "\\begin{tabular}{@{}";
  for (const Column& column : table.columns) out += column.is_number ? 'r' : 'l';
  out += cat("@{}}\n\\toprule\n", joined(escaped(titles_of(table), latex_text), " & "),
             " \\\\\n\\midrule\n");
  for (const auto& row : table.rows)
    out.append(joined(escaped(row, latex_text), " & ")).append(" \\\\\n");
  return out + "\\bottomrule\n\\end{tabular}\n";
}

std::string console_text_table(const TextTable& table) {
  std::vector<std::vector<std::string>> lines = {titles_of(table)};
  lines.insert(lines.end(), table.rows.begin(), table.rows.end());
  std::vector<std::size_t> widths(table.columns.size(), 0);
  for (auto& line : lines) {
    line = escaped(line, [](const std::string& text) { return ascii_signs(console_text(text)); });
    for (std::size_t c = 0; c < line.size(); ++c)
      widths[c] = std::max(widths[c], num_characters(line[c]));
  }
  std::string out;
  for (const auto& line : lines) {
    std::string text;
    for (std::size_t c = 0; c < line.size(); ++c) {
      text.append(c == 0 ? "" : "  ")
          .append(padded(line[c], widths[c], table.columns[c].is_number));
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out.append(text).append("\n");
  }
  return out;
}

std::string html_table(const TextTable& table, const std::string& caption) {
  const auto open = [&](std::string_view tag, std::size_t column, std::string_view more) {
    return cat("<", tag, more, table.columns[column].is_number ? " class=\"n\">" : ">");
  };
  // tabindex: a scrollable box must be reachable by keyboard
  std::string out = cat("<div class=\"table", width_classes(table.columns.size()),
                        "\">\n<p class=\"swipe\">More columns: scroll the table sideways →</p>\n"
                        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"",
                        html_text(caption), "\"><table>\n<thead><tr>");
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    out += cat(open("th", c, " scope=\"col\""), html_text(table.columns[c].title), "</th>");
  }
  out += "</tr></thead>\n<tbody>\n";
  for (const auto& row : table.rows) {
    out += "<tr>";
    for (std::size_t c = 0; c < row.size(); ++c) {
      out += c == 0 ? open("th", c, " scope=\"row\"") : open("td", c, "");
      out.append(html_text(row[c])).append(c == 0 ? "</th>" : "</td>");
    }
    out += "</tr>\n";
  }
  return out + "</tbody>\n</table></div>\n</div>\n";
}

}  // namespace sluice::report
