// `sluice report RUN...`.
#pragma once

#include <string>
#include <vector>

namespace sluice::app {

struct ReportOptions {
  std::vector<std::string> runs;
  std::string out;  // empty: RUN/report.html, or report.html for several runs
};
// Writes the page (report/run_page.h) and prints its path. The runs may still be training.
void report_command(const ReportOptions& options);

}  // namespace sluice::app
