#include "stats/judge.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/text_format.h"
#include "stats/holm.h"
#include "stats/letters.h"
#include "stats/moments.h"
#include "stats/paired_test.h"
#include "stats/power.h"
#include "stats/proportion.h"
#include "stats/sign_flip.h"

namespace sluice::stats {
namespace {

// A comparison of two variants, as indices into the blocks: first − second.
using Pair = std::pair<std::size_t, std::size_t>;

std::vector<double> differences_of(const Blocks& blocks, const Pair& pair, std::size_t num_seeds) {
  std::vector<double> differences;
  for (std::size_t j = 0; j < num_seeds; ++j)
    differences.push_back(blocks.row(pair.first)[j] - blocks.row(pair.second)[j]);
  return differences;
}

// Over the first `num_seeds` seeds of the blocks.
SignFlips flips_of(const Blocks& blocks, std::span<const Pair> pairs, std::size_t num_seeds,
                   const Plan& plan) {
  std::vector<double> values;
  for (const Pair& pair : pairs) {
    const std::vector<double> differences = differences_of(blocks, pair, num_seeds);
    values.insert(values.end(), differences.begin(), differences.end());
  }
  return {num_seeds, values, rounding_of(blocks.values), plan.key};
}

std::vector<Pair> baseline_pairs(const Blocks& blocks) {
  std::vector<Pair> pairs;
  for (std::size_t i = 0; blocks.baseline && i < blocks.variants.size(); ++i)
    if (i != *blocks.baseline) pairs.emplace_back(i, *blocks.baseline);
  return pairs;
}

std::vector<Pair> all_pairs(std::size_t num_variants) {
  std::vector<Pair> pairs;
  for (std::size_t a = 0; a < num_variants; ++a)
    for (std::size_t b = a + 1; b < num_variants; ++b) pairs.emplace_back(a, b);
  return pairs;
}

// For each pair, the first look at which it is significant, up to the present one.
std::vector<std::optional<std::size_t>> found_at(const Blocks& blocks, std::span<const Pair> pairs,
                                                 const Plan& plan, std::span<const double> levels,
                                                 std::size_t num_looks) {
  std::vector<std::optional<std::size_t>> found(pairs.size());
  for (std::size_t k = 0; k < num_looks; ++k) {
    const std::size_t num_seeds =
        plan.looks.empty() ? blocks.num_seeds : static_cast<std::size_t>(plan.looks[k]);
    const std::vector<double> p = flips_of(blocks, pairs, num_seeds, plan).adjusted_p();
    for (std::size_t i = 0; i < pairs.size(); ++i)
      if (!found[i] && p[i] <= levels[k]) found[i] = k;
  }
  return found;
}

void conclude(Difference& difference, const Plan& plan, double found_difference) {
  const bool is_within = plan.margin && difference.interval &&
                         difference.interval->low > -*plan.margin &&
                         difference.interval->high < *plan.margin;
  if (is_within) {
    difference.conclusion = Conclusion::kEquivalent;
  } else if (difference.found_at_look) {
    difference.conclusion = found_difference < 0 ? Conclusion::kBetter : Conclusion::kWorse;
  } else {
    difference.conclusion = Conclusion::kUndecided;
  }
}

void add_seeds_to_decide(Difference& difference, double std, const Plan& plan,
                         const Summary& summary) {
  // A constant difference has no interval and no test with any number of seeds. With looks, the
  // number of seeds is fixed.
  if (difference.conclusion != Conclusion::kUndecided || !(std > 0) || !difference.interval ||
      !plan.looks.empty())
    return;
  const Design design{.num_variants = static_cast<std::int64_t>(summary.num_comparisons) + 1,
                      .std = std / std::sqrt(2),  // of one run: differences have √2 times as much
                      .level = summary.level};
  const auto seeds = seeds_to_decide(design, difference.value, plan.margin);
  if (!seeds) return;
  difference.seeds_to_decide =
      std::max(*seeds, static_cast<std::int64_t>(summary.blocks.size()) + 1);
}

void add_flip_tests(const Blocks& blocks, const Plan& plan, std::span<const double> levels,
                    Summary& summary) {
  const std::vector<Pair> pairs = baseline_pairs(blocks);
  if (pairs.empty()) return;
  const SignFlips flips = flips_of(blocks, pairs, blocks.num_seeds, plan);
  const std::vector<double> p = flips.adjusted_p();
  const auto intervals = flips.intervals(summary.test_level);
  const auto found = found_at(blocks, pairs, plan, levels, summary.look.value_or(0) + 1);
  for (std::size_t k = 0; k < pairs.size(); ++k) {
    Difference& difference = *summary.variants[blocks.variants[pairs[k].first]].difference;
    const std::vector<double> values = differences_of(blocks, pairs[k], blocks.num_seeds);
    difference.flip_p = p[k];
    difference.interval = intervals[k];
    difference.found_at_look = found[k];
    difference.num_better = static_cast<std::size_t>(
        std::count_if(values.begin(), values.end(), [](double d) { return d < 0; }));
    difference.better_rate = clopper_pearson(difference.num_better, values.size(), summary.level);
    const std::size_t num_found = found[k] && !plan.looks.empty()
                                      ? static_cast<std::size_t>(plan.looks[*found[k]])
                                      : values.size();
    conclude(difference, plan, mean_of(std::span(values).first(num_found)));
    add_seeds_to_decide(difference, *sample_std(values), plan, summary);
  }
}

// The secondary tests: block model and paired t-tests, each with Holm's adjustment.
void add_t_tests(const Blocks& blocks, const BlockModel& model, Summary& summary) {
  std::vector<Difference*> compared;
  std::vector<double> p, paired_p;
  for (const auto& [i, baseline] : baseline_pairs(blocks)) {
    Difference& difference = *summary.variants[blocks.variants[i]].difference;
    const PairedTest paired = paired_t_test(blocks.row(i), blocks.row(baseline));
    if (paired.std_error == 0)
      difference.remark = difference.value == 0 ? cat("identical results in every ", summary.unit)
                                                : cat("the same difference in every ", summary.unit,
                                                      ": zero variance, p = 1");
    compared.push_back(&difference);
    p.push_back(model.p(i, baseline));
    paired_p.push_back(paired.p);
  }
  const std::vector<double> p_holm = holm_adjusted(p), paired_p_holm = holm_adjusted(paired_p);
  for (std::size_t k = 0; k < compared.size(); ++k) {
    compared[k]->p = p[k];
    compared[k]->p_holm = p_holm[k];
    compared[k]->paired_p = paired_p[k];
    compared[k]->paired_p_holm = paired_p_holm[k];
  }
}

void add_letters(const Blocks& blocks, const Plan& plan, std::span<const double> levels,
                 Summary& summary) {
  const std::size_t n = blocks.variants.size();
  const std::vector<Pair> pairs = all_pairs(n);
  const auto found = found_at(blocks, pairs, plan, levels, summary.look.value_or(0) + 1);
  std::vector<Pair> significant;
  for (std::size_t k = 0; k < pairs.size(); ++k)
    if (found[k]) significant.push_back(pairs[k]);
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return mean_of(blocks.row(a)) < mean_of(blocks.row(b));
  });
  const std::vector<std::string> letters = compact_letters(order, significant);
  for (std::size_t i = 0; i < n; ++i) summary.variants[blocks.variants[i]].letters = letters[i];
}

}  // namespace

void judge(const Blocks& blocks, const Plan& plan, std::span<const double> levels,
           Summary& summary) {
  const BlockModel model(blocks.variants.size(), blocks.num_seeds, blocks.values);
  summary.residual_std = model.residual_std();
  summary.residual_df = model.df();
  summary.smallest_p = smallest_p(blocks.num_seeds);
  add_t_tests(blocks, model, summary);
  add_flip_tests(blocks, plan, levels, summary);
  add_letters(blocks, plan, levels, summary);
}

}  // namespace sluice::stats
