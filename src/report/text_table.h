// A table of plain texts and its rendering in each output format, so that all outputs show the same
// values.
#pragma once

#include <string>
#include <vector>

namespace sluice::report {

struct Column {
  std::string title;
  bool is_number = true;  // right-aligned
};

struct TextTable {
  std::vector<Column> columns;
  std::vector<std::vector<std::string>> rows;  // each as long as `columns`
};

std::string markdown_table(const TextTable& table);
std::string latex_tabular(const TextTable& table);  // booktabs
std::string console_text_table(const TextTable& table);
// in a box that scrolls on a narrow page
std::string html_table(const TextTable& table, const std::string& caption);

}  // namespace sluice::report
