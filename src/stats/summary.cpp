#include "stats/summary.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "base/text_format.h"
#include "stats/blocks.h"
#include "stats/judge.h"
#include "stats/moments.h"

namespace sluice::stats {
namespace {

VariantSummary describe(const Table& table, std::size_t variant, const std::string& unit) {
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
    result.remark =
        cat(result.num_broken, " of ", count_of(static_cast<std::int64_t>(table.num_seeds()), unit),
            " diverged or failed: no verdict");
  else if (values.empty())
    result.remark = cat("no ", unit, " has finished yet");
  return result;
}

BlockChoice first_seeds(std::vector<std::size_t> variants, std::size_t num_seeds) {
  BlockChoice block{.variants = std::move(variants), .seeds = std::vector<std::size_t>(num_seeds)};
  std::iota(block.seeds.begin(), block.seeds.end(), std::size_t{0});
  return block;
}

// The block that the plan allows to test: every variant that is not broken, and all seeds or those
// of a look. None before and between.
std::optional<BlockChoice> planned_block(const Table& table, const Plan& plan, Summary& summary) {
  std::vector<std::size_t> intact;
  for (std::size_t i = 0; i < table.num_variants(); ++i)
    if (summary.variants[i].num_broken == 0) intact.push_back(i);
  if (intact.size() < 2) return std::nullopt;
  std::size_t num_seeds = 0;
  while (num_seeds < table.num_seeds() &&
         std::all_of(intact.begin(), intact.end(),
                     [&](std::size_t i) { return table.value(i, num_seeds).has_value(); }))
    ++num_seeds;
  if (plan.looks.empty()) {
    if (num_seeds < table.num_seeds()) return std::nullopt;
  } else {
    const auto look =
        std::find(plan.looks.begin(), plan.looks.end(), static_cast<std::int64_t>(num_seeds));
    if (look == plan.looks.end()) return std::nullopt;
    summary.look = static_cast<std::size_t>(look - plan.looks.begin());
  }
  return first_seeds(std::move(intact), num_seeds);
}

Blocks blocks_of(const Table& table, BlockChoice choice, Summary& summary) {
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
      variant.remark = cat("pending: ", variant.num_finished, " of ", table.num_seeds(), " ",
                           summary.unit, "s finished");
  if (blocks.baseline) summary.num_comparisons = blocks.variants.size() - 1;
  return blocks;
}

std::size_t num_waiting(const Summary& summary) {
  std::size_t count = 0;
  for (const VariantSummary& variant : summary.variants) count += variant.num_waiting;
  return count;
}

std::string runs_left(const Summary& summary) {
  const std::size_t count = num_waiting(summary);
  return count == 1 ? "one run is not finished" : cat(count, " runs are not finished");
}

// Why a table with results is not tested at this point.
std::string unplanned_reason(const Table& table, const Plan& plan, const Summary& summary) {
  if (plan.looks.empty())
    return cat("preliminary, ", runs_left(summary), "; tests are made on all ", table.num_seeds(),
               " ", plan.unit, "s of all variants");
  const auto next = std::find_if(plan.looks.begin(), plan.looks.end(), [&](std::int64_t look) {
    return look > static_cast<std::int64_t>(summary.blocks.size());
  });
  return cat("between looks, ", runs_left(summary), "; the next test is made on ",
             next == plan.looks.end() ? plan.looks.back() : *next, " ", plan.unit, "s");
}

std::string untested_reason(const Table& table, const Plan& plan, const Summary& summary,
                            bool is_planned) {
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
    return cat("only one ", plan.unit,
               ": no standard deviations, confidence intervals, tests or ranking");
  return is_planned ? "" : unplanned_reason(table, plan, summary);
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

void add_remarks(const Blocks& blocks, Summary& summary) {
  const VariantSummary& baseline = summary.variants[summary.baseline];
  if (!blocks.baseline && !baseline.remark.empty())
    summary.remarks.push_back(cat("no differences; baseline: ", baseline.remark));
  // unless `untested` says so
  if (num_waiting(summary) > 0 && summary.untested.find(runs_left(summary)) == std::string::npos)
    summary.remarks.push_back(cat("preliminary: ", runs_left(summary)));
  if (summary.untested.empty() && *summary.residual_std == 0)
    summary.remarks.emplace_back("zero residual variance, so every p-value is 1");
}

}  // namespace

Summary summarize(const Table& table, std::size_t baseline, const Plan& plan) {
  invariant(baseline < table.num_variants(), "summarize: the baseline is not in the table");
  invariant(plan.level > 0 && plan.level < 1, "summarize: level outside (0, 1)");
  invariant(plan.looks.empty() || plan.looks.back() == static_cast<std::int64_t>(table.num_seeds()),
            "summarize: the last look is not at the number of seeds");
  Summary summary{
      .baseline = baseline, .unit = plan.unit, .level = plan.level, .test_level = plan.level};
  for (std::size_t i = 0; i < table.num_variants(); ++i)
    summary.variants.push_back(describe(table, i, plan.unit));
  std::optional<BlockChoice> planned = planned_block(table, plan, summary);
  std::vector<bool> eligible;
  for (const VariantSummary& variant : summary.variants) eligible.push_back(variant.remark.empty());
  const bool is_planned = planned.has_value();
  const Blocks blocks = blocks_of(
      table, planned ? std::move(*planned) : choose_block(table, eligible, baseline), summary);
  add_differences(blocks, summary);
  summary.untested = untested_reason(table, plan, summary, is_planned);
  if (summary.untested.empty()) {
    const std::vector<double> levels = plan.looks.empty()
                                           ? std::vector<double>{plan.level}
                                           : look_levels(plan.looks, plan.spending, plan.level);
    summary.test_level = levels[summary.look.value_or(0)];
    judge(blocks, plan, levels, summary);
  }
  add_remarks(blocks, summary);
  return summary;
}

}  // namespace sluice::stats
