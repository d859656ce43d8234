// Parts of report.html that do not depend on the comparison, as HTML.
#pragma once

#include <string_view>

namespace sluice::report {

std::string_view page_style();     // CSS
std::string_view how_to_read();    // how to interpret the results
std::string_view page_formulas();  // formulas of the statistics, with ids for links
std::string_view dot_plot_key();   // legend of the dot plot

}  // namespace sluice::report
