#include "report/line_plot.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/text_format.h"
#include "report/text.h"

namespace sluice::report {
namespace {

constexpr std::size_t kNumColors = 7, kNameCharacters = 22;
constexpr double kNameGap = 15;

}  // namespace

std::string color_class(std::size_t i) {
  return cat("v", i % kNumColors, i >= kNumColors ? " dashed" : "");
}

bool any_curve(std::span<const PlotLine> lines) {
  return std::any_of(lines.begin(), lines.end(),
                     [](const PlotLine& line) { return line.points.size() > 1; });
}

Range range_without_start(std::span<const PlotLine> lines) {
  Range range{.low = INFINITY, .high = -INFINITY};
  for (const PlotLine& line : lines) {
    if (line.points.empty()) continue;
    const double last_step = line.points.back().step;
    for (const BandPoint& point : line.points) {
      range.low = std::min(range.low, point.low);
      if (point.step >= 0.12 * last_step) range.high = std::max(range.high, point.high);
    }
  }
  const double margin = 0.04 * std::max(range.high - range.low, 1e-3);
  return {range.low - margin, range.high + margin};
}

double label_space(std::span<const PlotLine> lines, PlotSize size) {
  double width = 0;
  for (const PlotLine& line : lines)
    width = std::max(width, text_width(shortened(line.label, kNameCharacters)));
  return std::min(width + 26, size.width * 0.4);
}

void draw_lines(Svg& svg, std::span<const PlotLine> lines, std::size_t first, const Frame& frame,
                const std::function<double(const BandPoint&)>& at_x) {
  const Box& box = frame.box;
  svg.open_viewport({box.left, box.top - 3, box.right + 4, box.bottom});
  for (const bool are_lines : {false, true}) {
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const PlotLine& line = lines[(first + i) % lines.size()];
      std::vector<Point> mean, low, high;
      for (const BandPoint& point : line.points) {
        const double x = frame.x.at(at_x(point));
        mean.push_back({x, frame.y.at(point.mean)});
        low.push_back({x, frame.y.at(point.low)});
        high.push_back({x, frame.y.at(point.high)});
      }
      svg.open_group(line.css_class);
      if (are_lines) svg.path(mean, "line");
      if (!are_lines) svg.band(high, low, "band");
      svg.close_group();
    }
  }
  svg.close_viewport();
}

void draw_labels(Svg& svg, const Frame& frame, std::span<const LineLabel> labels) {
  std::vector<double> wanted;
  for (const LineLabel& label : labels) wanted.push_back(label.at.y);
  const std::vector<double> places =
      spread_labels(wanted, kNameGap, frame.box.top, frame.box.bottom);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const double x = frame.box.right + 20;
    svg.open_group(labels[i].css_class);
    const std::array leader = {Point{labels[i].at.x + 4, labels[i].at.y},
                               Point{frame.box.right + 6, labels[i].at.y}, Point{x - 4, places[i]}};
    svg.path(leader, "leader");
    svg.text({x, places[i] + 4}, shortened(labels[i].text, kNameCharacters), "name");
    svg.close_group();
  }
}

std::string line_plot(const LinePlot& plot, PlotSize size) {
  if (!any_curve(plot.lines)) return "";
  Svg svg(size.width, size.height, plot.name);
  double last_step = 0;
  for (const PlotLine& line : plot.lines)
    last_step = std::max(last_step, line.points.empty() ? 0 : line.points.back().step);
  const Box box = {plot.left, 26, size.width - label_space(plot.lines, size), size.height - 42};
  const Frame frame = draw_frame(svg, box, {0, last_step}, plot.y, {"steps", plot.y_title});
  draw_lines(svg, plot.lines, plot.first, frame, [](const BandPoint& point) { return point.step; });
  std::vector<LineLabel> labels;
  for (const PlotLine& line : plot.lines) {
    if (line.points.empty()) continue;
    const BandPoint& end = line.points.back();
    labels.push_back({line.label, line.css_class, {frame.x.at(end.step), frame.y.at(end.mean)}});
  }
  draw_labels(svg, frame, labels);
  return svg.finish();
}

}  // namespace sluice::report
