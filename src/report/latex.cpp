// table.tex of report.h.
#include "base/text_format.h"
#include "report/report.h"
#include "report/tables.h"
#include "report/text.h"

namespace sluice::report {

std::string latex_report(const Comparison& comparison, const Analysis& analysis) {
  std::string caption = latex_text(cat(comparison.name, ": held-out ", metric_title(comparison), ". ", headline(comparison, analysis)));
  for (const std::string& line : notes(comparison, analysis)) caption += cat(" ", latex_text(line));
  return cat("% Needs \\usepackage{booktabs} and \\usepackage{graphicx}, UTF-8 and T1 fonts. Made by Sluice ",
             latex_text(comparison.version), ".\n\\begin{table}\n\\centering\n\\resizebox{\\linewidth}{!}{%\n",
             latex_tabular(result_table(comparison, analysis)), "}\n\\caption{", caption,
             "}\n\\end{table}\n\n\\begin{table}\n\\centering\n\\resizebox{\\linewidth}{!}{%\n",
             latex_tabular(size_table(comparison, analysis)), "}\n\\caption{Sizes of the variants.}\n\\end{table}\n");
}

}  // namespace sluice::report
