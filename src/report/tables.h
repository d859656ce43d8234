// The tables of a report, as plain text; text_table.h gives them their form.
#pragma once

#include "report/analysis.h"
#include "report/comparison.h"
#include "report/text_table.h"

namespace sluice::report {

// One row per variant, laid out like Table 1 of "GLU Variants Improve Transformer", with that table's figures beside it where it has any.
TextTable result_table(const Comparison& comparison, const Analysis& analysis);
// The same without the published figures: for a console of 80 to 100 columns.
TextTable short_result_table(const Comparison& comparison, const Analysis& analysis);
// Parameters, multiply-adds, widths, time.
TextTable size_table(const Comparison& comparison, const Analysis& analysis);
// Tuning figures on the third split, one row per variant and one column per candidate: mean (std) over the tuning seeds. No rows without tuning.
TextTable tuning_table(const Comparison& comparison);
// One row per seed, one column per variant: the figure of every cell, or what became of it.
TextTable cell_table(const Comparison& comparison, const Analysis& analysis);
// Cells that diverged or failed, with the reason.
TextTable trouble_table(const Comparison& comparison);

std::string_view status_name(CellStatus status);                   // "finished", ...
std::string settings_text(const Settings& settings);               // "optimizer.lr 3e-3, ..."; "–" where empty
std::string hash_text(const std::string& hash);                    // as it is; "each variant's own" where they share none
std::string difference_text(const stats::Difference& difference);  // "−0.0131 [−0.0205, −0.0057]"

}  // namespace sluice::report
