// Writes table.md (report.h).
#include "base/text_format.h"
#include "report/report.h"
#include "report/tables.h"
#include "report/text.h"

namespace sluice::report {
namespace {

// A code block, whose content is never markup. The fence is longer than any in the text.
std::string code_block(std::string_view text) {
  std::string fence = "```";
  while (text.find(fence) != std::string_view::npos) fence += '`';
  return cat(fence, "\n", text, text.ends_with('\n') ? "" : "\n", fence, "\n");
}

}  // namespace

std::string markdown_report(const Comparison& comparison, const Analysis& analysis) {
  std::string out = cat("# ", markdown_text(comparison.name), "\n\n",
                        markdown_line(headline(comparison, analysis)), "\n\n");
  out += markdown_table(result_table(comparison, analysis)) + "\n";
  for (const std::string& line : notes(comparison, analysis))
    out += cat("- ", markdown_line(line), "\n");
  out += cat("\n## Sizes\n\n", markdown_table(size_table(comparison, analysis)));
  if (!comparison.tuning.empty()) {
    out += cat("\n## Tuning\n\n", markdown_line(sentence(comparison.tuning_note)), "\n\n",
               markdown_table(tuning_table(comparison)));
  }
  const TextTable failures = failure_table(comparison);
  if (!failures.rows.empty())
    out += cat("\n## Runs that diverged or failed\n\n", markdown_table(failures));
  out += cat("\n## All runs\n\n", markdown_table(cell_table(comparison, analysis)));
  out += "\n## How to reproduce\n\n";
  std::string commands;
  for (const std::string& command : comparison.commands) commands += console_text(command) + "\n";
  if (!commands.empty()) out += code_block(commands) + "\n";
  out += code_block(console_lines(comparison.config));
  out += cat("\nData fingerprint: ", markdown_text(hash_text(comparison.data_fingerprint)),
             "; tokenizer hash: ", markdown_text(hash_text(comparison.tokenizer_hash)),
             "; seal: ", markdown_text(seal_text(comparison)), "; Sluice ",
             markdown_text(comparison.version), ". Formulas: docs/statistics.md.\n");
  return out;
}

}  // namespace sluice::report
