// Line plots, shared by the page of a comparison and that of single runs (run_page.h). Lines are
// identified by labels next to their ends and by color.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "report/curves.h"
#include "report/svg.h"

namespace sluice::report {

struct PlotSize {
  double width = 0;
  double height = 0;
};
inline constexpr PlotSize kWide = {540, 370}, kNarrow = {356, 340};

struct PlotLine {
  std::string label, css_class;
  Band points;  // a band around the line if low < high
};

// CSS class of the i-th colored line: "v3", "v3 dashed" from the eighth line on.
std::string color_class(std::size_t i);

// A single point is not a curve.
bool any_curve(std::span<const PlotLine> lines);

// The values without the steep start, which would flatten the rest.
Range range_without_start(std::span<const PlotLine> lines);

// The space to the right of a plot for the labels.
double label_space(std::span<const PlotLine> lines, PlotSize size);

// All bands below all lines. `first` is drawn first, the line before it last, on top.
void draw_lines(Svg& svg, std::span<const PlotLine> lines, std::size_t first, const Frame& frame,
                const std::function<double(const BandPoint&)>& at_x);

struct LineLabel {
  std::string text, css_class;
  Point at;  // the end of the line
};
void draw_labels(Svg& svg, const Frame& frame, std::span<const LineLabel> labels);

// Values versus steps.
struct LinePlot {
  std::string name;  // for screen readers
  std::string y_title;
  std::vector<PlotLine> lines;
  std::size_t first = 0;
  Range y;
  double left = 48;  // space for the numbers of the axis
};
std::string line_plot(const LinePlot& plot, PlotSize size);

}  // namespace sluice::report
