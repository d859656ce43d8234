// The plots of plots.h that consist of points: intervals and tuning.
#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "base/text_format.h"
#include "config/number_text.h"
#include "report/plots.h"
#include "report/published.h"
#include "report/tables.h"
#include "report/text.h"
#include "report/wording.h"
#include "stats/moments.h"

namespace sluice::report {
namespace {

constexpr double kRow = 34, kWideEnough = 560;

std::optional<double> published_difference(const Comparison& comparison, std::size_t v) {
  const Published* ours = published_result(comparison, comparison.variants[v]);
  const Published* other = published_result(comparison, comparison.variants[comparison.baseline]);
  if (ours == nullptr || other == nullptr || ours == other) return std::nullopt;
  return ours->mean - other->mean;
}

// The difference of each seed; empty if there are too many.
std::vector<double> drawn_seeds(const Comparison& comparison, const Analysis& analysis,
                                std::size_t v) {
  std::vector<double> values;
  const std::vector<std::size_t> seeds = analysis.compared_seeds();
  if (seeds.size() > kMaxSeedDots) return values;
  for (const std::size_t s : seeds) {
    values.push_back(*metric_value(comparison, *analysis.grid[v][s]) -
                     *metric_value(comparison, *analysis.grid[comparison.baseline][s]));
  }
  return values;
}

std::vector<std::size_t> tested_variants(const Analysis& analysis) {
  std::vector<std::size_t> tested;
  for (std::size_t v = 0; v < analysis.labels.size(); ++v) {
    if (verdict_of(analysis, v) != Verdict::kNone) tested.push_back(v);
  }
  return tested;
}

bool is_bounded(const stats::Difference& difference) {
  return difference.interval && std::isfinite(difference.interval->low) &&
         std::isfinite(difference.interval->high);
}

// Includes all bounded intervals, seeds, published differences, and 0.
Range range_of_differences(const Comparison& comparison, const Analysis& analysis,
                           const std::vector<std::size_t>& variants) {
  Range range{.low = 0, .high = 0};
  const auto include = [&](double value) {
    range.low = std::min(range.low, value);
    range.high = std::max(range.high, value);
  };
  for (const std::size_t v : variants) {
    const stats::Difference& difference = *analysis.summary.variants[v].difference;
    include(difference.value);
    if (is_bounded(difference)) include(difference.interval->low);
    if (is_bounded(difference)) include(difference.interval->high);
    for (const double value : drawn_seeds(comparison, analysis, v)) include(value);
    if (const auto published = published_difference(comparison, v)) include(*published);
  }
  const double margin = 0.06 * std::max(range.high - range.low, 1e-4);
  return {range.low - margin, range.high + margin};
}

// Colors identify variants, so the verdict is a shape: a triangle pointing to the better or to the
// worse side, a disc for equivalent, or a ring.
void draw_verdict(Svg& svg, Verdict verdict, Point at, const std::string& tip) {
  if (verdict == Verdict::kLower) return svg.triangle(at, 6, Svg::Pointing::kLeft, "mark", tip);
  if (verdict == Verdict::kHigher) return svg.triangle(at, 6, Svg::Pointing::kRight, "mark", tip);
  svg.dot(at, 4.5, verdict == Verdict::kEquivalent ? "mark" : "mark open", tip);
}

void draw_interval(Svg& svg, const Comparison& comparison, const Analysis& analysis,
                   const Frame& frame, std::size_t v, double y) {
  const stats::Difference& difference = *analysis.summary.variants[v].difference;
  svg.open_group(variant_class(comparison, v));
  if (const auto published = published_difference(comparison, v)) {
    svg.diamond({frame.x.at(*published), y}, 5.5, "paper",
                cat("paper: ", signed_text(published, 3)));
  }
  for (const double value : drawn_seeds(comparison, analysis, v))
    svg.dot({frame.x.at(value), y + 9}, 1.8, "seed");
  // An unbounded interval crosses the whole plot and has no ends.
  if (difference.interval && !is_bounded(difference))
    svg.line({frame.box.left, y}, {frame.box.right, y}, "interval");
  if (is_bounded(difference)) {
    const double low = frame.x.at(difference.interval->low),
                 high = frame.x.at(difference.interval->high);
    svg.line({low, y}, {high, y}, "interval");
    svg.line({low, y - 4}, {low, y + 4}, "interval");
    svg.line({high, y - 4}, {high, y + 4}, "interval");
  }
  draw_verdict(svg, verdict_of(analysis, v), {frame.x.at(difference.value), y},
               cat(analysis.labels[v], " ", difference_text(difference)));
  svg.close_group();
}

struct Candidate {
  double place = 0, mean = 0;
  bool chosen = false;
  std::string name;
};

std::string name_of(const Settings& candidate) { return label_of(candidate); }

// Horizontal positions of the candidates of all variants: in numerical order if all are numbers,
// otherwise in order of first appearance.
std::map<std::string, double> candidate_places(const Comparison& comparison) {
  std::vector<std::string> names;
  for (const TuningPoint& point : comparison.tuning) {
    if (std::find(names.begin(), names.end(), name_of(point.candidate)) == names.end())
      names.push_back(name_of(point.candidate));
  }
  const bool numbers = std::all_of(names.begin(), names.end(),
                                   [](const std::string& name) { return config::is_number(name); });
  if (numbers) {
    std::stable_sort(names.begin(), names.end(), [](const std::string& a, const std::string& b) {
      return config::to_double(a).value_or(0) < config::to_double(b).value_or(0);
    });
  }
  std::map<std::string, double> places;
  for (const std::string& name : names) places.emplace(name, static_cast<double>(places.size()));
  return places;
}

std::vector<Candidate> candidates_of(const Comparison& comparison, std::size_t v,
                                     const std::map<std::string, double>& places) {
  std::vector<Candidate> candidates;
  for (const TuningPoint& point : comparison.tuning) {
    if (point.settings != comparison.variants[v].settings || point.log_perplexity.empty()) continue;
    const double mean = stats::mean_of(point.log_perplexity);
    const std::string name = name_of(point.candidate);
    if (std::isfinite(mean)) candidates.push_back({places.at(name), mean, point.chosen, name});
  }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) { return a.place < b.place; });
  return candidates;
}

// Limited above, relative to the range of the chosen candidates: candidates that trained badly are
// outside the plot.
Range tuning_range(const std::vector<std::vector<Candidate>>& all) {
  double low = INFINITY, high = -INFINITY, highest = -INFINITY;
  for (const auto& candidates : all) {
    for (const Candidate& candidate : candidates) {
      low = std::min(low, candidate.mean);
      highest = std::max(highest, candidate.mean);
      if (candidate.chosen) high = std::max(high, candidate.mean);
    }
  }
  if (!std::isfinite(high)) high = highest;
  const double height = std::max({high - low, 0.02 * std::abs(low), 1e-3});
  return {low - 0.25 * height, std::min(highest + 0.25 * height, low + 4 * height)};
}

std::string tuning_panel(const Comparison& comparison, const Analysis& analysis, std::size_t v,
                         const std::vector<Candidate>& candidates,
                         const std::map<std::string, double>& places, const Range& range) {
  const double width = 232, height = 168;
  Svg svg(width, height, cat("Tuning of ", analysis.labels[v]));
  svg.text({0, 13}, shortened(analysis.labels[v], 30), "name");
  const Box box = {46, 26, width - 12, height - 24};
  const Frame frame = {.x = {-0.3, static_cast<double>(places.size()) - 0.7, box.left, box.right},
                       .y = {range.low, range.high, box.bottom, box.top},
                       .box = box};
  const Ticks down = nice_ticks(range.low, range.high, 3);
  for (const double value : down.values) {
    svg.line({box.left, frame.y.at(value)}, {box.right, frame.y.at(value)}, "grid");
    svg.text({box.left - 6, frame.y.at(value) + 4}, number_text(value, down.digits), "tick e");
  }
  const std::size_t every = (places.size() + 4) / 5;
  for (const auto& [name, place] : places) {
    if (static_cast<std::size_t>(place) % every == 0)
      svg.text({frame.x.at(place), box.bottom + 17}, shortened(name, 9), "tick m");
  }
  std::vector<Point> points;
  for (const Candidate& candidate : candidates)
    points.push_back({frame.x.at(candidate.place), frame.y.at(candidate.mean)});
  svg.open_viewport({box.left, box.top - 6, box.right + 12, box.bottom + 6});
  svg.open_group(variant_class(comparison, v));
  svg.path(points, "line");
  for (std::size_t i = 0; i < points.size(); ++i) {
    svg.dot(points[i], candidates[i].chosen ? 5 : 3, candidates[i].chosen ? "end" : "hollow",
            cat(candidates[i].name, ": ", number_text(candidates[i].mean, 4)));
  }
  svg.close_group();
  svg.close_viewport();
  return svg.finish();
}

}  // namespace

std::string interval_plot(const Comparison& comparison, const Analysis& analysis, double width) {
  const std::vector<std::size_t> tested = tested_variants(analysis);
  if (tested.empty()) return "";
  std::vector<std::size_t> variants;
  for (std::size_t v = 0; v < analysis.labels.size(); ++v) {
    if (v != comparison.baseline) variants.push_back(v);
  }
  const bool wide = width >= kWideEnough;
  double names = 0;
  for (const std::size_t v : variants)
    names = std::max(names, text_width(shortened(analysis.labels[v], 26)));
  const double left = std::min(names + 16, width * 0.35), right = wide ? 188 : 10;
  const double height = 34 + kRow * static_cast<double>(variants.size()) + 44;
  Svg svg(width, height,
          cat("Differences from ", analysis.labels[comparison.baseline], " with simultaneous ",
              interval_percent(analysis), " % confidence intervals"));
  const Box box = {left, 34, width - right, height - 44};
  const Range x = range_of_differences(comparison, analysis, tested);
  const Frame frame = {.x = {x.low, x.high, box.left, box.right}, .y = {}, .box = box};
  const Ticks ticks =
      nice_ticks(x.low, x.high, std::max(4, static_cast<int>((box.right - box.left) / 76)));
  for (const double value : ticks.values) {
    svg.line({frame.x.at(value), box.top}, {frame.x.at(value), box.bottom}, "grid");
    svg.text({frame.x.at(value), box.bottom + 17}, signed_text(value, ticks.digits), "tick m");
  }
  svg.line({frame.x.at(0), box.top - 6}, {frame.x.at(0), box.bottom}, "zero");
  for (const double side : {-1.0, 1.0})
    if (comparison.margin && x.low < side * *comparison.margin &&
        side * *comparison.margin < x.high)
      svg.line({frame.x.at(side * *comparison.margin), box.top},
               {frame.x.at(side * *comparison.margin), box.bottom}, "margin");
  const bool zero_is_right = frame.x.at(0) > (box.left + box.right) / 2;
  svg.text({frame.x.at(0), box.top - 12}, shortened(analysis.labels[comparison.baseline], 26),
           zero_is_right ? "name e" : "name");
  svg.text(
      {(box.left + box.right) / 2, box.bottom + 35},
      cat("difference, ", metric_unit(comparison), wide ? "  (left of the line is better)" : ""),
      "title m");
  for (std::size_t i = 0; i < variants.size(); ++i) {
    const double y = box.top + kRow * (static_cast<double>(i) + 0.45);
    svg.text({0, y + 4}, shortened(analysis.labels[variants[i]], 26), "name");
    if (verdict_of(analysis, variants[i]) == Verdict::kNone) {
      svg.text({(box.left + box.right) / 2, y + 4},
               cat(status_of(comparison, analysis, variants[i]), ": ",
                   no_verdict(analysis, variants[i])),
               "missing m");
      continue;
    }
    draw_interval(svg, comparison, analysis, frame, variants[i], y);
    if (wide)
      svg.text({width, y + 4}, difference_text(*analysis.summary.variants[variants[i]].difference),
               "value e");
  }
  return svg.finish();
}

std::vector<std::string> tuning_panels(const Comparison& comparison, const Analysis& analysis) {
  const std::map<std::string, double> places = candidate_places(comparison);
  std::vector<std::vector<Candidate>> all;
  for (std::size_t v = 0; v < comparison.variants.size(); ++v)
    all.push_back(candidates_of(comparison, v, places));
  const Range range = tuning_range(all);
  std::vector<std::string> panels;
  for (std::size_t v = 0; v < all.size(); ++v) {
    if (!all[v].empty())
      panels.push_back(tuning_panel(comparison, analysis, v, all[v], places, range));
  }
  return panels;
}

}  // namespace sluice::report
