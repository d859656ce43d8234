#include "compare/plan_text.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>

#include "base/text_format.h"
#include "config/names.h"
#include "stats/sign_flip.h"
#include "stats/summary.h"

namespace sluice::compare {
namespace {

constexpr std::string_view kBetweenParts = "; ", kBetweenVariants = " | ", kBetweenSeeds = ", ";

template <class Number>
std::string bracketed(const std::vector<Number>& numbers) {
  std::string text;
  for (const Number number : numbers) text += cat(text.empty() ? "" : kBetweenSeeds, number);
  return cat("[", text, "]");
}

// A label or list of values without the separators, which a path may contain.
std::string plan_item(std::string text) {
  for (const std::string_view separator : {kBetweenParts, kBetweenVariants})
    for (std::size_t at = text.find(separator); at != std::string::npos; at = text.find(separator))
      text.replace(at, separator.size(), ",");
  return text;
}

std::vector<std::string> split_at(std::string_view text, std::string_view separator) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + separator.size(), text.size()));
  }
  return parts;
}

// The parts "KEY VALUE" of a plan, in order.
std::vector<std::pair<std::string, std::string>> parts_of(std::string_view plan) {
  std::vector<std::pair<std::string, std::string>> parts;
  for (const std::string& part : split_at(plan, kBetweenParts)) {
    const std::size_t blank = std::min(part.find(' '), part.size());
    parts.emplace_back(part.substr(0, blank), part.substr(std::min(blank + 1, part.size())));
  }
  return parts;
}

std::set<std::string> items_of(const std::string& key, std::string_view value) {
  if (key == "seeds" && value.size() >= 2) value = value.substr(1, value.size() - 2);
  const std::vector<std::string> items =
      split_at(value, key == "seeds" ? kBetweenSeeds : kBetweenVariants);
  return {items.begin(), items.end()};
}

bool is_too_few(std::size_t num_units) {
  return num_units < static_cast<std::size_t>(stats::min_seeds(stats::Plan{}.level));
}

// The plan of one run against that of its comparison.
class PlanPair {
 public:
  PlanPair(const std::string& of_run, const std::string& of_comparison) {
    for (auto& [key, value] : parts_of(of_run)) ours_.emplace(key, value);
    for (auto& [key, value] : parts_of(of_comparison)) theirs_.emplace(key, value);
  }

  bool is_same(const std::string& key, const std::string& value) const {
    const std::string& other = other_value(key);
    if (value == other) return true;
    if (key == "variants") return items_of(key, value) == items_of(key, other);
    return key == "seeds" && !is_order_fixed() && items_of(key, value) == items_of(key, other);
  }

  // Seeds and variants may be added to a plan that could not give a verdict.
  bool is_extension(const std::string& key, const std::string& value) const {
    if ((key != "seeds" && key != "variants") || is_order_fixed()) return false;
    const auto seeds = ours_.find("seeds");
    if (seeds == ours_.end() || !is_too_few(items_of("seeds", seeds->second).size())) return false;
    const std::set<std::string> before = items_of(key, value),
                                now = items_of(key, other_value(key));
    return std::includes(now.begin(), now.end(), before.begin(), before.end());
  }

  const std::string& other_value(const std::string& key) const {
    static const std::string kNone = "none";
    const auto found = theirs_.find(key);
    return found == theirs_.end() ? kNone : found->second;
  }

 private:
  // A look judges the first seeds; groups of seeds are consecutive.
  bool is_order_fixed() const {
    const auto is = [&](const char* key, const char* value) {
      const auto found = ours_.find(key);
      return found == ours_.end() || found->second == value;
    };
    return !is("looks", "none") || !is("groups", "1");
  }

  std::map<std::string, std::string> ours_, theirs_;
};

}  // namespace

std::string plan_text(const report::ComparisonInfo& info,
                      const std::vector<report::Settings>& variants, std::size_t baseline) {
  std::string labels;
  for (const report::Settings& variant : variants)
    labels += cat(labels.empty() ? "" : kBetweenVariants, plan_item(report::label_of(variant)));
  return cat("metric ", config::name_of(info.metric), "; average_last ",
             info.average_last.value_or(1), "; baseline ",
             plan_item(report::label_of(variants.at(baseline))), "; margin ",
             info.margin ? shortest(*info.margin) : "none", "; groups ", info.seed_groups,
             "; looks ", info.looks.empty() ? "none" : in_brackets(info.looks),
             info.looks.empty() ? "" : cat("; spending ", config::name_of(info.spending)),
             "; seeds ", in_brackets(info.seeds), "; variants ", labels, "; tuning ",
             info.tuning_plan.empty() ? "none" : plan_item(info.tuning_plan));
}

std::string plan_text(const report::Comparison& comparison) {
  std::vector<report::Settings> variants;
  for (const report::Variant& variant : comparison.variants) variants.push_back(variant.settings);
  return plan_text(comparison, variants, comparison.baseline);
}

PlanDifference compare_plans(const std::string& of_run, const std::string& of_comparison) {
  PlanDifference difference;
  if (of_run == of_comparison) return difference;
  const PlanPair plans(of_run, of_comparison);
  for (const auto& [key, value] : parts_of(of_run)) {
    if (plans.is_same(key, value)) continue;
    std::string& text = plans.is_extension(key, value) ? difference.extended : difference.change;
    text += cat(text.empty() ? "" : ", ", key, " ", value);
    if (&text == &difference.change) text += cat(" instead of ", plans.other_value(key));
  }
  return difference;
}

bool is_whole_plan(const std::string& plan) {
  const auto parts = parts_of(plan);
  return std::any_of(parts.begin(), parts.end(),
                     [](const auto& part) { return part.first == "variants"; });
}

bool is_powerless(const std::vector<std::uint64_t>& seeds, std::size_t num_groups) {
  return is_too_few(num_groups > 1 ? num_groups : seeds.size());
}

std::string in_brackets(const std::vector<std::uint64_t>& seeds) { return bracketed(seeds); }
std::string in_brackets(const std::vector<std::int64_t>& looks) { return bracketed(looks); }

}  // namespace sluice::compare
