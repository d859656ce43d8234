#include "report/report.h"

#include "base/file.h"
#include "base/text_format.h"
#include "report/tables.h"
#include "report/text.h"
#include "report/text_table.h"

namespace sluice::report {

void write_report(const Comparison& comparison, const std::filesystem::path& directory) {
  const Analysis analysis = analyze(comparison);
  FileSystem& files = real_files();
  files.create_directories(directory);
  files.write_atomically(directory / "table.md", markdown_report(comparison, analysis));
  files.write_atomically(directory / "table.tex", latex_report(comparison, analysis));
  files.write_atomically(directory / "results.csv", csv_report(comparison));
  files.write_atomically(directory / "results.json", json_report(comparison, analysis));
  files.write_atomically(directory / "report.html", html_report(comparison, analysis));
  if (!comparison.seal.empty())
    files.write_atomically(directory / "seal.txt", comparison.seal_text);
}

std::string console_table(const Comparison& comparison) {
  const Analysis analysis = analyze(comparison);
  std::string out = cat(console_text_table(short_result_table(comparison, analysis)), "\n",
                        console_text(verdict(comparison, analysis)), "\n");
  if (const std::string text = conditions(comparison, analysis); !text.empty())
    out += console_text(text) + "\n";
  for (const std::string& remark : analysis.summary.remarks)
    out += console_text(sentence(remark)) + "\n";
  for (std::size_t v = 0; v < analysis.labels.size(); ++v) {
    const std::string status = status_of(comparison, analysis, v);
    if (!status.empty()) out += console_text(cat(analysis.labels[v], ": ", status)) + "\n";
  }
  return out;
}

}  // namespace sluice::report
