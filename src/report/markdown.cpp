// table.md of report.h.
#include "base/text_format.h"
#include "report/report.h"
#include "report/tables.h"
#include "report/text.h"

namespace sluice::report {
namespace {

// As code: nothing in it can be markup. The fence is longer than any in the text.
std::string code_block(std::string_view text) {
  std::string fence = "```";
  while (text.find(fence) != std::string_view::npos) fence += '`';
  return cat(fence, "\n", text, text.ends_with('\n') ? "" : "\n", fence, "\n");
}

}  // namespace

std::string markdown_report(const Comparison& comparison, const Analysis& analysis) {
  std::string out = cat("# ", markdown_text(comparison.name), "\n\n", markdown_line(headline(comparison, analysis)), "\n\n");
  out += markdown_table(result_table(comparison, analysis)) + "\n";
  for (const std::string& line : notes(comparison, analysis)) out += cat("- ", markdown_line(line), "\n");
  out += cat("\n## Sizes\n\n", markdown_table(size_table(comparison, analysis)));
  if (!comparison.tuning.empty()) {
    out += cat("\n## Tuning\n\n", markdown_line(sentence(comparison.tuning_note)), "\n\n", markdown_table(tuning_table(comparison)));
  }
  const TextTable trouble = trouble_table(comparison);
  if (!trouble.rows.empty()) out += cat("\n## Cells that diverged or failed\n\n", markdown_table(trouble));
  out += cat("\n## Every cell\n\n", markdown_table(cell_table(comparison, analysis)));
  out += "\n## How to do it again\n\n";
  std::string commands;
  for (const std::string& command : comparison.commands) commands += console_text(command) + "\n";
  if (!commands.empty()) out += code_block(commands) + "\n";
  out += code_block(console_lines(comparison.config));
  out += cat("\nData ", markdown_text(hash_text(comparison.data_fingerprint)), ", tokenizer ",
             markdown_text(hash_text(comparison.tokenizer_hash)), ", Sluice ", markdown_text(comparison.version),
             ". Formulas: docs/statistics.md.\n");
  return out;
}

}  // namespace sluice::report
