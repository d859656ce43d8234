// A table of plain texts, and its forms in each output language. Made once, so that all outputs show the same figures.
#pragma once

#include <string>
#include <vector>

namespace sluice::report {

struct Column {
  std::string title;
  bool is_number = true;  // set flush right
};

struct TextTable {
  std::vector<Column> columns;
  std::vector<std::vector<std::string>> rows;  // as many texts as columns
};

std::string markdown_table(const TextTable& table);
std::string latex_tabular(const TextTable& table);  // booktabs
std::string console_text_table(const TextTable& table);
std::string html_table(const TextTable& table, const std::string& caption);  // in a box that scrolls where the page is narrow

}  // namespace sluice::report
