// Parts of report.html that are the same on every page, as HTML.
#pragma once

#include <string_view>

namespace sluice::report {

std::string_view page_style();     // CSS
std::string_view how_to_read();    // a frank guide to the figures
std::string_view page_formulas();  // the statistics, with ids that table and text link to
std::string_view dot_plot_key();   // what each mark of the dot plot means

}  // namespace sluice::report
