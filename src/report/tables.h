// The tables of a report, as plain text; text_table.h formats them.
#pragma once

#include "report/analysis.h"
#include "report/comparison.h"
#include "report/text_table.h"

namespace sluice::report {

// One row per variant, laid out like Table 1 of "GLU Variants Improve Transformer", with the values
// of that table alongside, if any.
TextTable result_table(const Comparison& comparison, const Analysis& analysis);
// The same without the published values: fits a console of 80 to 100 columns.
TextTable short_result_table(const Comparison& comparison, const Analysis& analysis);
// Parameters, multiply-adds, widths, time.
TextTable size_table(const Comparison& comparison, const Analysis& analysis);
// Results on the tuning split, one row per variant and one column per candidate: mean (std) over
// the tuning seeds. No rows without tuning.
TextTable tuning_table(const Comparison& comparison);
// One row per seed, one column per variant: the metric of each cell, or its state.
TextTable cell_table(const Comparison& comparison, const Analysis& analysis);
// Cells that diverged or failed, with the reason.
TextTable failure_table(const Comparison& comparison);

// "optimizer.lr 3e-3, ..."; "–" if empty
std::string settings_text(const Settings& settings);
// unchanged; "differs by variant" if empty
std::string hash_text(const std::string& hash);
// The seal, or why there is none.
std::string seal_text(const Comparison& comparison);
// "−0.0131 [−0.0205, −0.0057]", "−0.0131 [unbounded]"
std::string difference_text(const stats::Difference& difference);

}  // namespace sluice::report
