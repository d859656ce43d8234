#include "stats/summary.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "base/text_format.h"
#include "stats/blocks.h"
#include "stats/holm.h"
#include "stats/letters.h"
#include "stats/moments.h"
#include "stats/paired_test.h"

namespace sluice::stats {
namespace {

VariantSummary describe(const Table& table, std::size_t variant) {
  VariantSummary result;
  std::vector<double> values;
  for (std::size_t seed = 0; seed < table.num_seeds(); ++seed) {
    const std::optional<double> value = table.value(variant, seed);
    if (value) values.push_back(*value);
    if (table.broken(variant, seed)) ++result.num_broken;
  }
  result.num_finished = values.size();
  result.num_waiting = table.num_seeds() - values.size() - result.num_broken;
  if (!values.empty()) result.mean = mean_of(values);
  result.std = sample_std(values);
  if (result.num_broken > 0)
    result.remark = cat(result.num_broken, " of ",
                        count_of(static_cast<std::int64_t>(table.num_seeds()), "seed"),
                        " diverged or failed: no verdict");
  else if (values.empty())
    result.remark = "no seed has finished yet";
  return result;
}

// Input of the tests: the analyzed variants and their values in the blocks.
struct Blocks {
  std::vector<std::size_t> variants;  // of the table
  std::vector<double> values;         // variants × blocks
  std::size_t num_seeds = 0;
  std::optional<std::size_t> baseline;  // index into `variants`

  std::span<const double> row(std::size_t i) const {
    return std::span(values).subspan(i * num_seeds, num_seeds);
  }
};

Blocks blocks_of(const Table& table, Summary& summary) {
  std::vector<bool> eligible;
  for (const VariantSummary& variant : summary.variants) eligible.push_back(variant.remark.empty());
  BlockChoice choice = choose_block(table, eligible, summary.baseline);
  Blocks blocks{.variants = std::move(choice.variants),
                .values = {},
                .num_seeds = choice.seeds.size(),
                .baseline = {}};
  summary.blocks = std::move(choice.seeds);
  summary.num_analyzed = blocks.variants.size();
  for (std::size_t i = 0; i < blocks.variants.size(); ++i) {
    const std::size_t variant = blocks.variants[i];
    summary.variants[variant].analyzed = true;
    if (variant == summary.baseline) blocks.baseline = i;
    for (const std::size_t seed : summary.blocks)
      blocks.values.push_back(*table.value(variant, seed));
  }
  for (VariantSummary& variant : summary.variants)
    if (variant.remark.empty() && !variant.analyzed)
      variant.remark =
          cat("pending: ", variant.num_finished, " of ", table.num_seeds(), " seeds finished");
  if (blocks.baseline) summary.num_comparisons = blocks.variants.size() - 1;
  return blocks;
}

std::string untested_reason(const Table& table, const Summary& summary) {
  if (table.num_variants() < 2) return "only one variant";
  const auto is_broken = [](const VariantSummary& variant) { return variant.num_broken > 0; };
  const auto has_value = [](const VariantSummary& variant) {
    return variant.num_broken == 0 && variant.num_finished > 0;
  };
  if (std::count_if(summary.variants.begin(), summary.variants.end(), has_value) < 2)
    return std::any_of(summary.variants.begin(), summary.variants.end(), is_broken)
               ? "fewer than two variants have a finished run and no diverged or failed one"
               : "fewer than two variants have a finished run";
  if (table.num_seeds() < 2)
    return "only one seed: no standard deviations, confidence intervals, tests or ranking";
  if (summary.blocks.size() < 2)
    return cat("fewer than two seeds are finished for every variant (", summary.blocks.size(),
               " of ", table.num_seeds(), "): no confidence intervals, tests or ranking");
  return {};
}

void add_differences(const Blocks& blocks, Summary& summary) {
  if (!blocks.baseline || blocks.num_seeds == 0) return;
  for (std::size_t i = 0; i < blocks.variants.size(); ++i) {
    if (i == *blocks.baseline) continue;
    std::vector<double> differences;
    for (std::size_t j = 0; j < blocks.num_seeds; ++j)
      differences.push_back(blocks.row(i)[j] - blocks.row(*blocks.baseline)[j]);
    summary.variants[blocks.variants[i]].difference = Difference{.value = mean_of(differences)};
  }
}

// Interval and both p-values for every difference to the baseline.
void test_against_baseline(const Blocks& blocks, const BlockModel& model, Summary& summary) {
  if (!blocks.baseline) return;
  const std::size_t baseline = *blocks.baseline;
  const double level_per_comparison =
      summary.level / static_cast<double>(blocks.variants.size() - 1);
  std::vector<Difference*> compared;
  std::vector<double> p, paired_p;
  for (std::size_t i = 0; i < blocks.variants.size(); ++i) {
    if (i == baseline) continue;
    Difference& difference = *summary.variants[blocks.variants[i]].difference;
    const PairedTest paired = paired_t_test(blocks.row(i), blocks.row(baseline));
    difference.interval = model.interval(i, baseline, level_per_comparison);
    if (paired.std_error == 0)
      difference.remark = difference.value == 0
                              ? "identical results in every seed"
                              : "the same difference in every seed: zero variance, paired p = 1";
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

void add_letters(const Blocks& blocks, const BlockModel& model, Summary& summary) {
  const std::size_t n = blocks.variants.size();
  std::vector<std::pair<std::size_t, std::size_t>> pairs, significant;
  std::vector<double> p;
  for (std::size_t a = 0; a < n; ++a)
    for (std::size_t b = a + 1; b < n; ++b) {
      pairs.emplace_back(a, b);
      p.push_back(model.p(a, b));
    }
  const std::vector<double> adjusted = holm_adjusted(p);
  for (std::size_t k = 0; k < pairs.size(); ++k)
    if (adjusted[k] <= summary.level) significant.push_back(pairs[k]);
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return mean_of(blocks.row(a)) < mean_of(blocks.row(b));
  });
  const std::vector<std::string> letters = compact_letters(order, significant);
  for (std::size_t i = 0; i < n; ++i) summary.variants[blocks.variants[i]].letters = letters[i];
}

void add_remarks(const Blocks& blocks, Summary& summary) {
  const VariantSummary& baseline = summary.variants[summary.baseline];
  if (!blocks.baseline && !baseline.remark.empty())
    summary.remarks.push_back(cat("no differences; baseline: ", baseline.remark));
  std::size_t num_waiting = 0;
  for (const VariantSummary& variant : summary.variants) num_waiting += variant.num_waiting;
  if (num_waiting == 1) summary.remarks.emplace_back("preliminary: one run is not finished");
  if (num_waiting > 1)
    summary.remarks.push_back(cat("preliminary: ", num_waiting, " runs are not finished"));
  if (summary.untested.empty() && *summary.residual_std == 0)
    summary.remarks.emplace_back("zero residual variance, so every p-value is 1");
}

}  // namespace

Summary summarize(const Table& table, std::size_t baseline, double level) {
  invariant(baseline < table.num_variants(), "summarize: the baseline is not in the table");
  invariant(level > 0 && level < 1, "summarize: level outside (0, 1)");
  Summary summary{.baseline = baseline, .level = level};
  for (std::size_t i = 0; i < table.num_variants(); ++i)
    summary.variants.push_back(describe(table, i));
  const Blocks blocks = blocks_of(table, summary);
  add_differences(blocks, summary);
  summary.untested = untested_reason(table, summary);
  if (summary.untested.empty()) {
    const BlockModel model(blocks.variants.size(), blocks.num_seeds, blocks.values);
    summary.residual_std = model.residual_std();
    summary.residual_df = model.df();
    test_against_baseline(blocks, model, summary);
    add_letters(blocks, model, summary);
  }
  add_remarks(blocks, summary);
  return summary;
}

}  // namespace sluice::stats
