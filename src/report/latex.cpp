// table.tex of report.h.
#include <string>

#include "base/text_format.h"
#include "report/report.h"
#include "report/tables.h"
#include "report/text.h"

namespace sluice::report {
namespace {

// Of letters, digits and hyphens, so that \ref needs no care: "glu-small".
std::string label_part(std::string_view name) {
  std::string label;
  for (const char c : name) {
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (is_plain) label += c;
    if (!is_plain && !label.empty() && label.back() != '-') label += '-';
  }
  while (label.ends_with('-')) label.pop_back();
  return label.empty() ? "comparison" : label;
}

struct Float {
  std::string caption, label, notes;  // as LaTeX
};

std::string table_float(const TextTable& table, const Float& text) {
  return cat("\\begin{table}\n\\centering\n\\caption{", text.caption, "}\n\\label{tab:", text.label, "}\n\\resizebox{\\linewidth}{!}{%\n",
             latex_tabular(table), "}\n", text.notes, "\\end{table}\n");
}

std::string notes_below(const Comparison& comparison, const Analysis& analysis) {
  std::string out =
      cat("\n\\smallskip\n\\begin{minipage}{\\linewidth}\n\\footnotesize\n", latex_text(headline(comparison, analysis)), "\n");
  for (const std::string& line : notes(comparison, analysis)) out += cat("\n", latex_text(line), "\n");
  return out + "\\end{minipage}\n";
}

}  // namespace

std::string latex_report(const Comparison& comparison, const Analysis& analysis) {
  const std::string name = latex_text(comparison.name), label = label_part(comparison.name);
  return cat(
      "% Needs \\usepackage{booktabs} and \\usepackage{graphicx}, UTF-8 and T1 fonts. Made by Sluice ", latex_text(comparison.version),
      ".\n",
      table_float(result_table(comparison, analysis), {.caption = cat(name, ": held-out ", latex_text(metric_title(comparison)), "."),
                                                       .label = label,
                                                       .notes = notes_below(comparison, analysis)}),
      "\n",
      table_float(size_table(comparison, analysis),
                  {.caption = cat(name, ": sizes of the variants."), .label = cat(label, "-sizes"), .notes = ""}));
}

}  // namespace sluice::report
