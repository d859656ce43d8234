// The drawings of a report. Variants are told apart by labels at their lines first and by colour second: class v<i>, the baseline's `base`.
#pragma once

#include <string>

#include "report/analysis.h"
#include "report/comparison.h"
#include "report/curves.h"
#include "report/svg.h"

namespace sluice::report {

struct PlotSize {
  double width = 0;
  double height = 0;
};
inline constexpr PlotSize kWide = {540, 370}, kNarrow = {356, 340};

// Mean and range over the seeds against steps. The worst part of the first steps is cut off. Empty where no cell has a curve of that kind.
std::string loss_plot(const Comparison& comparison, const Analysis& analysis, CurveKind kind, PlotSize size);

// One small drawing per variant: its held-out difference to the baseline along training. Empty where there is none.
std::vector<std::string> difference_panels(const Comparison& comparison, const Analysis& analysis);

// Differences to the baseline with simultaneous intervals, each seed's own difference, and the paper's. Its height follows from the number of
// variants. Empty where nothing is tested.
std::string interval_plot(const Comparison& comparison, const Analysis& analysis, double width);

// The end of training: means after the last step, and the way there, against what was spent.
enum class Cost { kFlops, kSeconds };
std::string cost_plot(const Comparison& comparison, const Analysis& analysis, Cost cost, PlotSize size);

// One small drawing per variant: tuning figures of every candidate. Empty without tuning.
std::vector<std::string> tuning_panels(const Comparison& comparison, const Analysis& analysis);

// The classes of variant `v`, and labels for the ends of lines: "v3", "v3 again" from the ninth on (dashed), "base".
std::string variant_class(const Comparison& comparison, std::size_t v);

// A line that has its name beside its end.
struct LineEnd {
  std::size_t variant = 0;
  Point at;
};
void draw_names(Svg& svg, const Comparison& comparison, const Analysis& analysis, const Frame& frame, std::span<const LineEnd> ends);

}  // namespace sluice::report
