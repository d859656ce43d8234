// The plots of a report. Variants are identified by labels next to their lines and by color: CSS
// class v<i>, `base` for the baseline.
#pragma once

#include <string>

#include "report/analysis.h"
#include "report/comparison.h"
#include "report/curves.h"
#include "report/line_plot.h"
#include "report/svg.h"

namespace sluice::report {

inline constexpr std::size_t kMaxSeedDots = 40;  // more dots under an interval would overlap

// Mean and range over the seeds versus steps, without the steep start. Empty if no cell has a curve
// of that kind.
std::string loss_plot(const Comparison& comparison, const Analysis& analysis, CurveKind kind,
                      PlotSize size);

// One small plot per variant: its held-out difference from the baseline during training. Empty if
// there are no differences.
std::vector<std::string> difference_panels(const Comparison& comparison, const Analysis& analysis);

// Differences from the baseline with simultaneous confidence intervals, the difference of each
// seed, and the paper's. The height depends on the number of variants. Empty if nothing is tested.
std::string interval_plot(const Comparison& comparison, const Analysis& analysis, double width);

// Means after the last step, and the curves leading to them, versus cost.
enum class Cost { kFlops, kSeconds };
std::string cost_plot(const Comparison& comparison, const Analysis& analysis, Cost cost,
                      PlotSize size);

// One small plot per variant: tuning results of all candidates. Empty without tuning.
std::vector<std::string> tuning_panels(const Comparison& comparison, const Analysis& analysis);

// CSS classes of variant `v`: "v3", "v3 dashed" from the ninth variant on, "base".
std::string variant_class(const Comparison& comparison, std::size_t v);

}  // namespace sluice::report
