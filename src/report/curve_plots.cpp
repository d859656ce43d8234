// The plots of plots.h that contain curves.
#include <algorithm>
#include <array>
#include <cmath>

#include "base/text_format.h"
#include "report/plots.h"
#include "report/tables.h"
#include "report/text.h"
#include "stats/moments.h"

namespace sluice::report {
namespace {

constexpr std::size_t kMaxPoints = 120, kPanelPoints = 60;
constexpr double kDodge = 6, kMaxDodge = 60;

using Bands = std::vector<Band>;

std::vector<PlotLine> lines_of(const Comparison& comparison, const Analysis& analysis,
                               CurveKind kind) {
  std::vector<PlotLine> lines;
  for (std::size_t v = 0; v < comparison.variants.size(); ++v)
    lines.push_back({.label = analysis.labels[v],
                     .css_class = variant_class(comparison, v),
                     .points = band_of(comparison, analysis, v, kind, kMaxPoints)});
  return lines;
}

struct Polylines {
  std::vector<Point> mean, low, high;
};

template <class AtX>
Polylines polylines(const Band& band, const Frame& frame, AtX at_x) {
  Polylines lines;
  for (const BandPoint& point : band) {
    const double x = frame.x.at(at_x(point));
    lines.mean.push_back({x, frame.y.at(point.mean)});
    lines.low.push_back({x, frame.y.at(point.low)});
    lines.high.push_back({x, frame.y.at(point.high)});
  }
  return lines;
}

// Common to all panels; includes 0. Ignores the first tenth, which fluctuates widely.
Range difference_range(const Bands& bands) {
  Range range{.low = 0, .high = 0};
  for (const Band& band : bands) {
    for (const BandPoint& point : band) {
      if (point.step < 0.1 * band.back().step) continue;
      range.low = std::min(range.low, point.low);
      range.high = std::max(range.high, point.high);
    }
  }
  const double margin = 0.06 * std::max(range.high - range.low, 1e-4);
  return {range.low - margin, range.high + margin};
}

std::string panel(const Comparison& comparison, const Analysis& analysis, std::size_t v,
                  const Bands& bands) {
  const double width = 232, height = 168;
  const std::string end = signed_text(analysis.summary.variants[v].difference->value, 4);
  Svg svg(width, height,
          cat("Difference of ", analysis.labels[v], " from ", analysis.labels[comparison.baseline],
              " during training; final value ", end));
  double last_step = 0;
  for (const Band& band : bands)
    last_step = std::max(last_step, band.empty() ? 0 : band.back().step);
  svg.text({0, 13}, shortened(analysis.labels[v], 22), "name");
  svg.text({width - 4, 13}, end, "tick e");
  const Frame frame = draw_frame(svg, {46, 26, width - 8, height - 24}, {0, last_step},
                                 difference_range(bands), {});
  svg.line({frame.box.left, frame.y.at(0)}, {frame.box.right, frame.y.at(0)}, "zero");
  const Polylines drawn =
      polylines(bands[v], frame, [](const BandPoint& point) { return point.step; });
  svg.open_viewport({frame.box.left, frame.box.top, frame.box.right + 5, frame.box.bottom});
  svg.open_group(variant_class(comparison, v));
  svg.band(drawn.high, drawn.low, "band");
  svg.path(drawn.mean, "line");
  svg.dot(drawn.mean.back(), 3, "end");
  svg.close_group();
  svg.close_viewport();
  return svg.finish();
}

struct Unit {
  double size = 1;
  std::string title;
};

std::string superscript(int value) {
  constexpr std::array kDigits = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
  std::string out;
  for (const char digit : std::to_string(value))
    out += digit == '-' ? "⁻" : kDigits[static_cast<std::size_t>(digit - '0')];
  return out;
}

Unit unit_of(Cost cost, double largest) {
  if (cost == Cost::kFlops) {
    const int exponent = static_cast<int>(std::floor(std::log10(largest)));
    return {std::pow(10, exponent), cat("training FLOPs, × 10", superscript(exponent))};
  }
  if (largest > 3 * 86400) return {86400, "training time, days"};
  if (largest > 3 * 3600) return {3600, "training time, hours"};
  return largest > 180 ? Unit{60, "training time, minutes"} : Unit{1, "training time, seconds"};
}

double cost_of(const BandPoint& point, Cost cost) {
  return cost == Cost::kFlops ? point.flops : point.seconds;
}

// Final result of a variant, as in the table.
struct End {
  std::size_t variant = 0;
  double cost = 0, mean = 0, std = 0;
};

std::vector<End> ends_of(const Comparison& comparison, const Analysis& analysis, Cost cost) {
  std::vector<End> ends;
  for (std::size_t v = 0; v < comparison.variants.size(); ++v) {
    const stats::VariantSummary& summary = analysis.summary.variants[v];
    std::vector<double> costs;
    for (const CellResult* cell : analysis.grid[v]) {
      if (cell == nullptr || cell->state != CellState::kFinished) continue;
      costs.push_back(cost == Cost::kSeconds ? cell->training_seconds
                                             : static_cast<double>(cell->tokens) *
                                                   comparison.variants[v].sizes.flops_per_token);
    }
    if (costs.empty() || !summary.mean || stats::mean_of(costs) <= 0) continue;
    ends.push_back({v, stats::mean_of(costs), *summary.mean, summary.std.value_or(0)});
  }
  return ends;
}

// Horizontal offsets, in pixels, that separate points of equal cost.
std::vector<double> dodges(const std::vector<End>& ends, double same) {
  std::vector<double> offsets(ends.size(), 0);
  for (std::size_t i = 0; i < ends.size(); ++i) {
    double before = 0, all = 0;
    for (std::size_t k = 0; k < ends.size(); ++k) {
      if (std::abs(ends[k].cost - ends[i].cost) > same) continue;
      all += 1;
      before += k < i ? 1 : 0;
    }
    offsets[i] = std::min(kDodge, kMaxDodge / all) * (before - (all - 1) / 2);
  }
  return offsets;
}

Range end_range(const std::vector<End>& ends) {
  double low = INFINITY, high = -INFINITY;
  for (const End& end : ends) {
    low = std::min(low, end.mean - end.std);
    high = std::max(high, end.mean + end.std);
  }
  const double height = std::max(high - low, 1e-3);
  return {low - 0.12 * height, high + 0.9 * height};
}

}  // namespace

std::string variant_class(const Comparison& comparison, std::size_t v) {
  if (v == comparison.baseline) return "base";
  return color_class(v < comparison.baseline ? v : v - 1);
}

std::string loss_plot(const Comparison& comparison, const Analysis& analysis, CurveKind kind,
                      PlotSize size) {
  std::vector<PlotLine> lines = lines_of(comparison, analysis, kind);
  const std::string what = kind == CurveKind::kTraining
                               ? "training log-perplexity"
                               : cat("held-out ", metric_title(comparison));
  const std::string_view unit =
      kind == CurveKind::kTraining ? "nats per target token" : metric_unit(comparison);
  const Range y = range_without_start(lines);
  return line_plot({.name = cat("Curves of ", what, ", one line per variant"),
                    .y_title = cat(what, what.ends_with(unit) ? "" : cat(", ", unit)),
                    .lines = std::move(lines),
                    .first = comparison.baseline + 1,
                    .y = y},
                   size);
}

std::vector<std::string> difference_panels(const Comparison& comparison, const Analysis& analysis) {
  Bands bands;
  for (std::size_t v = 0; v < comparison.variants.size(); ++v) {
    bands.push_back(analysis.summary.variants[v].difference
                        ? difference_band(comparison, analysis, v, kPanelPoints)
                        : Band());
  }
  std::vector<std::string> panels;
  for (std::size_t v = 0; v < bands.size(); ++v) {
    if (bands[v].size() > 1) panels.push_back(panel(comparison, analysis, v, bands));
  }
  return panels;
}

std::string cost_plot(const Comparison& comparison, const Analysis& analysis, Cost cost,
                      PlotSize size) {
  const std::vector<End> ends = ends_of(comparison, analysis, cost);
  if (ends.empty()) return "";
  double largest = 0;
  for (const End& end : ends) largest = std::max(largest, end.cost);
  const Unit unit = unit_of(cost, largest);
  Svg svg(size.width, size.height,
          cat("Held-out ", metric_title(comparison), " versus ", unit.title));
  std::vector<PlotLine> lines = lines_of(comparison, analysis, CurveKind::kHeldOut);
  const Box box = {54, 26, size.width - label_space(lines, size), size.height - 42};
  const Frame frame =
      draw_frame(svg, box, {0.4 * largest / unit.size, 1.07 * largest / unit.size}, end_range(ends),
                 {unit.title, cat("held-out ", metric_title(comparison))});
  for (PlotLine& line : lines) {
    // overlapping ranges would be unreadable here
    for (BandPoint& point : line.points) point.low = point.high = point.mean;
  }
  svg.open_group("faint");
  draw_lines(svg, lines, comparison.baseline + 1, frame,
             [&](const BandPoint& point) { return cost_of(point, cost) / unit.size; });
  svg.close_group();
  std::vector<LineLabel> names;
  const std::vector<double> offsets = dodges(ends, 1e-3 * largest);
  for (std::size_t i = 0; i < ends.size(); ++i) {
    const End& end = ends[i];
    const Point at = {frame.x.at(end.cost / unit.size) + offsets[i], frame.y.at(end.mean)};
    svg.open_group(variant_class(comparison, end.variant));
    svg.line({at.x, frame.y.at(end.mean - end.std)}, {at.x, frame.y.at(end.mean + end.std)},
             "line");
    svg.dot(at, 4, "end", cat(analysis.labels[end.variant], " ", number_text(end.mean, 4)));
    svg.close_group();
    names.push_back({analysis.labels[end.variant], variant_class(comparison, end.variant), at});
  }
  draw_labels(svg, frame, names);
  return svg.finish();
}

}  // namespace sluice::report
