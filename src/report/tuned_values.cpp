#include "report/tuned_values.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "base/text_format.h"
#include "config/number_text.h"
#include "stats/moments.h"

namespace sluice::report {
namespace {

std::optional<double> number_of(const std::string& word) {
  return config::is_number(word) ? config::to_double(word) : std::nullopt;
}

// Mean log-perplexity by value of one key, the other keys as chosen; nullopt without a result.
// Empty if a value is not a number.
std::map<double, std::optional<double>> line_through(const Comparison& comparison,
                                                     const TuningPoint& chosen, std::size_t key) {
  std::map<double, std::optional<double>> means;
  for (const TuningPoint& point : comparison.tuning) {
    if (point.settings != chosen.settings || point.group != chosen.group) continue;
    Settings candidate = point.candidate;
    candidate.at(key) = chosen.candidate.at(key);
    if (candidate != chosen.candidate) continue;
    const auto number = number_of(point.candidate.at(key).second);
    if (!number) return {};
    const bool has_result = !point.diverged && point.remark.empty();
    means[*number] = has_result && !point.log_perplexity.empty()
                         ? std::optional(stats::mean_of(point.log_perplexity))
                         : std::nullopt;
  }
  return means;
}

struct Place {
  double at = 0, height = 0;
};

// Depth of the lowest point of the parabola below `middle`; 0 if the three are on a line.
double depth_of_parabola(const Place& left, const Place& middle, const Place& right) {
  // slopes of the two chords, per unit of the axis
  const double a = (middle.height - left.height) / (middle.at - left.at);
  const double b = (right.height - middle.height) / (right.at - middle.at);
  const double curvature = (b - a) / (right.at - left.at);  // half the second derivative
  if (!(curvature > 0)) return 0;
  const double slope = a + curvature * (middle.at - left.at);  // at the middle
  return slope * slope / (4 * curvature);
}

std::optional<double> gain_of(const std::map<double, std::optional<double>>& means,
                              std::map<double, std::optional<double>>::const_iterator chosen) {
  const auto before = std::prev(chosen), after = std::next(chosen);
  if (!before->second || !chosen->second || !after->second) return std::nullopt;
  const bool is_log = means.begin()->first > 0;
  const auto place = [&](const auto& one) {
    return Place{.at = is_log ? std::log(one->first) : one->first, .height = *one->second};
  };
  return depth_of_parabola(place(before), place(chosen), place(after));
}

// The metric per nat of log-perplexity.
double metric_scale(const Comparison& comparison, const Analysis& analysis, std::size_t variant) {
  for (const CellResult* cell : analysis.grid[variant]) {
    if (cell == nullptr || !cell->log_perplexity || !(*cell->log_perplexity > 0)) continue;
    if (const auto value = metric_value(comparison, *cell)) return *value / *cell->log_perplexity;
  }
  return 1;
}

// Mean over the groups of the sum over the keys, in units of the metric; where it is largest.
std::pair<double, std::string> total_gain(const Comparison& comparison, const Analysis& analysis,
                                          std::size_t variant) {
  double sum = 0;
  std::pair<double, std::string> largest{0, ""};
  const Settings& settings = comparison.variants[variant].settings;
  const std::size_t num_groups = comparison.seed_groups;
  for (std::size_t group = 0; group < num_groups; ++group) {
    for (const TunedValue& one : tuned_values(comparison, settings, group)) {
      sum += one.gain.value_or(0);
      largest = std::max(largest, std::pair(one.gain.value_or(0), cat(one.key, " ", one.value)));
    }
  }
  return {sum / static_cast<double>(num_groups) * metric_scale(comparison, analysis, variant),
          largest.second};
}

// How far the interval is from reversing the verdict, and whose better tuning could do so.
struct Slack {
  double distance = 0;
  std::vector<std::size_t> variants;
};

std::optional<Slack> slack_of(const Comparison& comparison, const Analysis& analysis,
                              std::size_t v) {
  const auto& difference = analysis.summary.variants[v].difference;
  if (!difference || !difference->interval) return std::nullopt;
  const stats::Interval& interval = *difference->interval;
  const double margin = comparison.margin.value_or(0);
  switch (verdict_of(analysis, v)) {
    case Verdict::kLower:
      return Slack{-interval.high, {comparison.baseline}};
    case Verdict::kHigher:
      return Slack{interval.low, {v}};
    case Verdict::kEquivalent:
      return Slack{std::min(margin - interval.high, margin + interval.low),
                   {comparison.baseline, v}};
    case Verdict::kNotSignificant:
    case Verdict::kNone:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

const TuningPoint* chosen_point(const Comparison& comparison, const Settings& variant,
                                std::size_t group) {
  const auto point =
      std::find_if(comparison.tuning.begin(), comparison.tuning.end(), [&](const TuningPoint& one) {
        return one.chosen && one.group == group && one.settings == variant;
      });
  return point == comparison.tuning.end() ? nullptr : &*point;
}

std::vector<TunedValue> tuned_values(const Comparison& comparison, const Settings& variant,
                                     std::size_t group) {
  std::vector<TunedValue> values;
  const TuningPoint* chosen = chosen_point(comparison, variant, group);
  if (chosen == nullptr) return values;
  for (std::size_t key = 0; key < chosen->candidate.size(); ++key) {
    const auto& [name, text] = chosen->candidate[key];
    TunedValue& value = values.emplace_back(TunedValue{.key = name, .value = text});
    const auto means = line_through(comparison, *chosen, key);
    if (means.size() < 2) continue;
    const auto place = means.find(*number_of(text));
    value.at_edge = place == means.begin() || std::next(place) == means.end();
    if (!value.at_edge) value.gain = gain_of(means, place);
  }
  return values;
}

std::string tuned_text(const Comparison& comparison, const Settings& variant) {
  std::vector<std::pair<Settings, std::size_t>> counts;  // in the order of the groups
  for (std::size_t group = 0; group < comparison.seed_groups; ++group) {
    const TuningPoint* chosen = chosen_point(comparison, variant, group);
    if (chosen == nullptr) continue;
    const auto same = std::find_if(counts.begin(), counts.end(),
                                   [&](const auto& one) { return one.first == chosen->candidate; });
    if (same == counts.end()) {
      counts.emplace_back(chosen->candidate, 1);
    } else {
      ++same->second;
    }
  }
  std::string text;
  for (const auto& [candidate, count] : counts) {
    for (std::size_t key = 0; key < candidate.size(); ++key)
      text += cat(text.empty() ? "" : ", ", candidate[key].first, " ", candidate[key].second);
    if (comparison.seed_groups > 1)
      text += cat(" (", count, " of ", comparison.seed_groups, " groups)");
  }
  return text;
}

std::vector<std::string> edge_values(const Comparison& comparison, const Settings& variant) {
  std::map<std::string, std::size_t> counts;
  for (std::size_t group = 0; group < comparison.seed_groups; ++group) {
    for (const TunedValue& one : tuned_values(comparison, variant, group))
      if (one.at_edge) ++counts[cat(one.key, " ", one.value)];
  }
  std::vector<std::string> edges;
  for (const auto& [value, count] : counts)
    edges.push_back(comparison.seed_groups == 1
                        ? value
                        : cat(value, " in ", count, " of ", comparison.seed_groups, " groups"));
  return edges;
}

std::vector<std::string> coarse_grids(const Comparison& comparison, const Analysis& analysis,
                                      std::size_t variant) {
  std::vector<std::string> doubts;
  const auto slack = slack_of(comparison, analysis, variant);
  if (!slack) return doubts;
  for (const std::size_t v : slack->variants) {
    const auto [gain, where] = total_gain(comparison, analysis, v);
    if (gain > 0 && gain >= slack->distance)
      doubts.push_back(cat("the grid is coarser than the ",
                           verdict_of(analysis, variant) == Verdict::kEquivalent
                               ? "distance from the margin"
                               : "difference",
                           ": beside ", where, ", ", analysis.labels[v],
                           " could be better by about ", fixed(gain, 4)));
  }
  return doubts;
}

std::vector<std::string> grid_doubts(const Comparison& comparison, const Analysis& analysis,
                                     std::size_t variant) {
  if (verdict_of(analysis, variant) == Verdict::kNone) return {};
  std::vector<std::string> doubts = coarse_grids(comparison, analysis, variant);
  for (const std::size_t v : {comparison.baseline, variant})
    for (const std::string& value : edge_values(comparison, comparison.variants[v].settings))
      doubts.insert(doubts.begin(),
                    cat(analysis.labels[v], " tuned to the edge of the grid, ", value));
  return doubts;
}

}  // namespace sluice::report
