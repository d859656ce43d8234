// Markdown, LaTeX, CSV and console tables: their values, read back.
#include "report/tables.h"

#include <gtest/gtest.h>

#include <sstream>

#include "base/text_format.h"
#include "report/report.h"
#include "report/text.h"
#include "tests/report/example.h"

namespace sluice::report {
namespace {

// The fields of the first line that begins with `start`, split at `between` and trimmed.
std::vector<std::string> fields_of(const std::string& text, const std::string& start,
                                   const std::string& between) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(start)) continue;
    std::vector<std::string> fields;
    for (std::size_t at = 0; at <= line.size();) {
      const std::size_t end = std::min(line.find(between, at), line.size());
      const std::string field = line.substr(at, end - at);
      const std::size_t first = field.find_first_not_of(' ');
      fields.push_back(first == std::string::npos
                           ? ""
                           : field.substr(first, field.find_last_not_of(" \r") - first + 1));
      at = end + between.size();
    }
    return fields;
  }
  ADD_FAILURE() << "no line begins with " << start;
  return {};
}

std::size_t num_lines_with(const std::string& text, const std::string& part) {
  std::istringstream lines(text);
  std::size_t count = 0;
  for (std::string line; std::getline(lines, line);)
    count += line.find(part) == std::string::npos ? 0 : 1;
  return count;
}

TEST(Tables, MarkdownHasThePapersLayoutAndResults) {
  const Comparison comparison = example_comparison({});
  const Analysis analysis = analyze(comparison);
  const std::string text = markdown_report(comparison, analysis);
  const auto& geglu = analysis.summary.variants[5];
  const auto fields = fields_of(text, "| geglu |", "|");
  ASSERT_EQ(fields.size(), 16U);
  EXPECT_EQ(fields[2], "8");
  EXPECT_EQ(fields[3], cat(fixed(*geglu.mean, 4), " (", fixed(*geglu.std, 4), ")"));
  EXPECT_EQ(fields[4], cat(signed_text(geglu.difference->value, 4), " \\[",
                           signed_text(geglu.difference->interval->low, 4), ", ",
                           signed_text(geglu.difference->interval->high, 4), "\\]"));
  EXPECT_EQ(fields[5], "better");
  EXPECT_EQ(fields[6], markdown_text(p_text(geglu.difference->flip_p)));
  EXPECT_EQ(fields[7], "8 of 8 (63–100 %)");
  EXPECT_EQ(fields[8], geglu.letters);
  EXPECT_EQ(fields[9], cat("±", fixed(*analysis.sample_error[5]->std_error, 4)));
  EXPECT_EQ(fields[10], markdown_text(p_text(geglu.difference->p_holm)));
  EXPECT_EQ(fields[11], markdown_text(p_text(geglu.difference->paired_p_holm)));
  EXPECT_EQ(fields[12], "1.942 (0.004)");
  EXPECT_EQ(fields[13], "−0.055");
  EXPECT_EQ(fields[14], "1.633");
  EXPECT_EQ(fields_of(text, "| relu |", "|")[4], "baseline");
  EXPECT_NE(text.find("equal steps mean equal FLOPs"), std::string::npos);
  EXPECT_NE(text.find("are approximate"), std::string::npos);
}

TEST(Tables, MarkdownHasSizesTuningAndEveryCell) {
  const Comparison comparison = example_comparison({});
  const std::string text = markdown_report(comparison, analyze(comparison));
  const std::string sizes = text.substr(text.find("## Sizes"));
  EXPECT_EQ(fields_of(sizes, "| geglu |", "|")[2], "4,218,880");
  EXPECT_EQ(fields_of(sizes, "| geglu |", "|")[5], "683");
  EXPECT_EQ(fields_of(sizes, "| geglu |", "|")[6], "+0.050 %");
  EXPECT_EQ(fields_of(sizes, "| geglu |", "|")[9], "optimizer.lr 3e-3");
  const std::string tuning = text.substr(text.find("## Tuning"));
  EXPECT_EQ(fields_of(tuning, "| geglu |", "|")[5], "3e-3");
  const std::string cells = text.substr(text.find("## All runs"));
  EXPECT_EQ(fields_of(cells, "| 3 |", "|")[7],
            fixed(*comparison.cells[5 * 8 + 2].log_perplexity, 4));
}

TEST(Tables, NoPublishedResultsForAnotherObjective) {
  Comparison comparison = example_comparison({});
  comparison.objective = "causal_lm";
  comparison.targets_are_text = true;
  const std::string text = markdown_report(comparison, analyze(comparison));
  EXPECT_EQ(text.find("paper"), std::string::npos);
  EXPECT_EQ(text.find("1.942"), std::string::npos);
}

TEST(Tables, OneSeedHasNoStdNoTestsAndNoRanking) {
  const Comparison comparison = example_comparison({.num_seeds = 1});
  const Analysis analysis = analyze(comparison);
  const std::string table = markdown_table(short_result_table(comparison, analysis));
  EXPECT_EQ(table.find("std"), std::string::npos);
  EXPECT_EQ(table.find("interval"), std::string::npos);
  EXPECT_EQ(table.find("verdict"), std::string::npos);
  EXPECT_EQ(table.find("letters"), std::string::npos);
  EXPECT_EQ(fields_of(table, "| geglu |", "|")[3], fixed(*comparison.cells[5].log_perplexity, 4));
  EXPECT_LT(table.find("| relu |"), table.find("| geglu |"));
  EXPECT_LT(table.find("| geglu |"), table.find("| reglu |"));
  EXPECT_NE(markdown_report(comparison, analysis).find("Only one seed: no standard deviations"),
            std::string::npos);
  EXPECT_NE(console_table(comparison)
                .find("Only one seed: no significance tests, variants are not ranked.\nAfter 2,400 "
                      "steps; "),
            std::string::npos);
}

// The table says what `sluice verdict` says.
TEST(Tables, AChangedPlanBreaksAllVerdicts) {
  Comparison comparison = example_comparison({});
  comparison.plan_changes = {"seeds were added"};
  const std::string text = markdown_report(comparison, analyze(comparison));
  EXPECT_EQ(fields_of(text, "| relu |", "|")[5], "–");
  EXPECT_EQ(fields_of(text, "| geglu |", "|")[5], "broken");
}

TEST(Tables, DivergedAndFailedCellsAreShown) {
  Comparison comparison = example_comparison({});
  break_cell(cell_at(comparison, 2, 3), CellState::kDiverged, "loss is NaN at step 812");
  break_cell(cell_at(comparison, 4, 1), CellState::kFailed, "killed by signal 9");
  const Analysis analysis = analyze(comparison);
  const std::string text = markdown_report(comparison, analysis);
  EXPECT_EQ(fields_of(text, "| swish |", "|")[4], "1 of 8 diverged: no verdict");
  EXPECT_EQ(fields_of(text, "| swish |", "|")[5], "broken");
  EXPECT_EQ(fields_of(text, "| bilinear |", "|")[4], "1 of 8 failed: no verdict");
  EXPECT_NE(text.find("loss is NaN at step 812"), std::string::npos);
  EXPECT_NE(text.find("killed by signal 9"), std::string::npos);
  const std::string console = console_table(comparison);
  EXPECT_NE(console.find("swish: 1 of 8 diverged\n"), std::string::npos);
  EXPECT_EQ(num_lines_with(latex_report(comparison, analysis), "1 of 8 diverged: no verdict"), 1U);
}

TEST(Tables, DivergedCandidatesAreShown) {
  Comparison comparison = example_comparison({.num_variants = 2});
  comparison.tuning[2].log_perplexity.clear();
  comparison.tuning[2].remark = "diverged";
  const TextTable table = tuning_table(comparison);
  ASSERT_EQ(table.rows.size(), 2U);
  EXPECT_EQ(table.rows[0][3], "diverged");
  EXPECT_EQ(table.rows[0][4], "3e-3");
  EXPECT_EQ(table.rows[1][2], "3.9188 (0.0057)");
  comparison.tuning.clear();
  EXPECT_TRUE(tuning_table(comparison).rows.empty());
  EXPECT_EQ(markdown_report(comparison, analyze(comparison)).find("## Tuning"), std::string::npos);
}

TEST(Tables, LatexRowsHaveAllColumns) {
  const Comparison comparison = example_comparison({});
  const std::string text = latex_report(comparison, analyze(comparison));
  EXPECT_EQ(fields_of(text, "geglu &", " & ").size(), 14U);
  EXPECT_EQ(fields_of(text, "geglu &", " & ")[12], "$-$0.055");
  for (const char* part : {"\\toprule", "\\midrule", "\\bottomrule", "\\begin{tabular}",
                           "\\end{tabular}", "\\begin{table}", "\\end{table}"}) {
    EXPECT_EQ(num_lines_with(text, part), 2U) << part;
  }
  EXPECT_EQ(text.find("−"), std::string::npos);
}

TEST(Tables, LatexHasAShortCaptionALabelAndNotesBelow) {
  Comparison comparison = example_comparison({.num_variants = 3});
  comparison.name = "Decoder & \"more\" (v2)";
  const Analysis analysis = analyze(comparison);
  const std::string text = latex_report(comparison, analysis);
  const std::string caption =
      "\\caption{Decoder \\& \\textquotedbl{}more\\textquotedbl{} (v2): held-out "
      "log-perplexity.}\n\\label{tab:Decoder-more-v2}\n";
  const std::size_t at = text.find(caption), tabular = text.find("\\end{tabular}"),
                    note = text.find(latex_text(headline(comparison, analysis)));
  ASSERT_NE(at, std::string::npos) << text;
  EXPECT_LT(at, tabular);
  ASSERT_NE(note, std::string::npos);
  EXPECT_LT(tabular, note);
  for (const std::string& line : notes(comparison, analysis))
    EXPECT_GT(text.find(latex_text(line)), note) << line;
  EXPECT_EQ(num_lines_with(text, "\\label{tab:Decoder-more-v2-sizes}"), 1U);
  comparison.name = "中";
  EXPECT_EQ(num_lines_with(latex_report(comparison, analysis), "\\label{tab:comparison}"), 1U);
}

TEST(Tables, RunsThatDidNotLearnAreMarkedEverywhere) {
  Comparison comparison = example_comparison({.num_variants = 3});
  cell_at(comparison, 1, 1).learned_nothing = true;
  cell_at(comparison, 1, 1).uniform_log_perplexity = 8.3178;
  cell_at(comparison, 0, 1).learned_nothing = false;
  comparison.tuning[4].learned_nothing = true;
  const Analysis analysis = analyze(comparison);
  const std::string text = markdown_report(comparison, analysis),
                    cells = text.substr(text.find("## All runs"));
  EXPECT_EQ(fields_of(text, "| gelu † |", "|").size(), 16U);
  EXPECT_EQ(fields_of(cells, "| 2 |", "|")[3],
            cat(fixed(*cell_at(comparison, 1, 1).log_perplexity, 4), " †"));
  EXPECT_EQ(fields_of(cells, "| 2 |", "|")[2], fixed(*cell_at(comparison, 0, 1).log_perplexity, 4));
  EXPECT_TRUE(fields_of(text.substr(text.find("## Tuning")), "| gelu |", "|")[3].ends_with("†"));
  EXPECT_EQ(num_lines_with(console_table(comparison), "gelu *"), 1U);
  EXPECT_EQ(num_lines_with(latex_report(comparison, analysis), "gelu \\textdagger{} &"), 1U);
  const std::string csv = csv_report(comparison);
  EXPECT_EQ(fields_of(csv, "gelu,2,", ",")[5], "true");
  EXPECT_EQ(fields_of(csv, "relu,2,", ",")[5], "false");
  EXPECT_EQ(fields_of(csv, "relu,1,", ",")[5], "");  // of an earlier version: unknown
}

TEST(Tables, CsvHasOneRowPerCell) {
  Comparison comparison = example_comparison({});
  break_cell(cell_at(comparison, 2, 3), CellState::kDiverged, "NaN, \"loss\"");
  const std::string text = csv_report(comparison);
  EXPECT_TRUE(text.starts_with("model.ffn,seed,status,log_perplexity,"));
  EXPECT_EQ(num_lines_with(text, "\r"), 65U);
  const auto fields = fields_of(text, "geglu,2,", ",");
  EXPECT_EQ(fields[2], "finished");
  EXPECT_EQ(std::stod(fields[3]), *cell_at(comparison, 5, 1).log_perplexity);  // every bit
  EXPECT_EQ(fields_of(text, "swish,4,", ",")[3], "");
  EXPECT_NE(text.find(",\"NaN, \"\"loss\"\"\"\r\n"), std::string::npos);
}

TEST(Tables, ConsoleColumnsLineUp) {
  const std::string text = console_table(example_comparison({}));
  std::istringstream lines(text);
  std::string title, row;
  std::getline(lines, title);
  const std::size_t column = title.find("  p  ") + std::string("  p").size();
  while (std::getline(lines, row) && !row.empty()) {
    const std::string_view ends = row.find("baseline") == std::string::npos ? "0123456789" : "-";
    EXPECT_NE(ends.find(row[column - 1]), std::string_view::npos) << row;
  }
}

}  // namespace
}  // namespace sluice::report
