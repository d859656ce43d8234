// Parts of the pages that do not depend on what they show, as HTML. All pages share one design.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::report {

std::string_view page_style();     // CSS
std::string_view how_to_read();    // how to interpret the results
std::string_view page_formulas();  // formulas of the statistics, with ids for links
std::string_view dot_plot_key();   // legend of the dot plot

// Arguments named `text`, `title` and `caption` are escaped; all others are HTML.
std::string paragraph(std::string_view text);
// One plot in two sizes; the style sheet shows the one that fits. Empty if there is no plot.
std::string figure(const std::string& wide, const std::string& narrow, std::string_view caption);
std::string pair(const std::string& left, const std::string& right);  // side by side if it fits
std::string code_block(std::string_view text);
using Fact = std::pair<std::string_view, std::string>;  // name and value, both text
std::string facts(std::span<const Fact> rows);

struct PageSection {
  std::string_view id, title;
  std::string content;
};
struct Page {
  std::string title, heading, lead;  // text
  std::string introduction;          // HTML before the links to the sections
  std::vector<PageSection> sections;
  std::string version;  // text
  std::string footer;   // HTML
};
// The whole page, well-formed as HTML and as XML.
std::string html_page(const Page& page);

}  // namespace sluice::report
