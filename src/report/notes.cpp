// The sentences of analysis.h.
#include <algorithm>
#include <cmath>
#include <optional>

#include "base/text_format.h"
#include "config/number_text.h"
#include "report/analysis.h"
#include "report/published.h"
#include "report/tables.h"
#include "report/text.h"
#include "report/wording.h"

namespace sluice::report {
namespace {

constexpr std::string_view kOneSeed =
    "Only one seed: without a second there is no standard deviation, interval or p, and variants are not ranked; they are listed in the "
    "order of the configuration.";

bool only_one_seed(const Comparison& comparison) { return comparison.seeds.size() == 1; }

bool is_finished(const Cell* cell) { return cell != nullptr && cell->status == CellStatus::kFinished; }

std::vector<std::uint64_t> compared_seeds(const Comparison& comparison, const Analysis& analysis) {
  std::vector<std::uint64_t> seeds;
  for (const std::size_t s : analysis.summary.blocks) seeds.push_back(comparison.seeds[s]);
  return seeds;
}

std::string tests_note(const Comparison& comparison, const Analysis& analysis) {
  return cat(
      "Differences are variant − baseline in ", metric_unit(comparison),
      ": below 0 the variant is better. Differences, p and simultaneous 95 % intervals (Bonferroni) come from the additive variant + seed "
      "model over ",
      seeds_text(compared_seeds(comparison, analysis)), "; p is adjusted by Holm's rule for ",
      count_of(static_cast<std::int64_t>(analysis.summary.num_comparisons), "comparison"),
      " with the baseline. The paired t-test does not assume equal variances. Variants that share a letter cannot be told apart (all "
      "pairs, Holm). A difference is significant where p, Holm, is at most 0.05.");
}

// What the verdict leaves out until it is finished.
std::string pending_note(const Comparison& comparison, const Analysis& analysis) {
  if (!analysis.is_tested()) return "";
  std::vector<std::string> variants, seeds;
  for (std::size_t v = 0; v < analysis.labels.size(); ++v) {
    const stats::VariantSummary& variant = analysis.summary.variants[v];
    if (!variant.analysed && variant.num_broken == 0)
      variants.push_back(cat(analysis.labels[v], " (", seeds_text(waiting_seeds(comparison, analysis, v)), ")"));
  }
  for (std::size_t s = 0; s < comparison.seeds.size(); ++s) {
    const auto& blocks = analysis.summary.blocks;
    if (std::find(blocks.begin(), blocks.end(), s) != blocks.end()) continue;
    std::vector<std::string> lacking;
    for (std::size_t v = 0; v < analysis.labels.size(); ++v)
      if (analysis.summary.variants[v].analysed && !is_finished(analysis.grid[v][s])) lacking.push_back(analysis.labels[v]);
    seeds.push_back(cat(comparison.seeds[s], " (", listed(lacking), ")"));
  }
  std::string text;
  if (!variants.empty()) text = cat("Variants left out until their runs are finished: ", listed(variants), ". ");
  if (!seeds.empty()) text += cat("Seeds left out until every compared variant has finished them: ", listed(seeds, "seeds"), ". ");
  if (!text.empty()) text.pop_back();
  return text;
}

std::string learning_note(const Comparison& comparison, const Analysis& analysis) {
  std::vector<std::string> variants, tuned;
  for (std::size_t v = 0; v < analysis.labels.size(); ++v) {
    const std::vector<std::uint64_t> seeds = seeds_without_learning(comparison, analysis, v);
    if (!seeds.empty()) variants.push_back(cat(analysis.labels[v], " (", seeds_text(seeds), ")"));
  }
  for (const TuningPoint& point : comparison.tuning)
    if (point.chosen && point.learned_nothing) tuned.push_back(label_of(point.settings));
  std::string text;
  if (!variants.empty())
    text = cat(kMark,
               " includes a run that has learned nothing: it ended no better than a uniform guess over the vocabulary, or where it began: ",
               listed(variants), ". Differences to or from such a run say nothing about the variants.");
  if (!tuned.empty())
    text += cat(text.empty() ? "" : " ", "Every candidate of compare.tune learned nothing in one of its runs: ", listed(tuned), ".");
  return text;
}

// docs/statistics.md: where the two kinds of p disagree, believe the paired one.
std::string disagreement_note(const Analysis& analysis) {
  std::vector<std::string> pooled_only, paired_only;
  for (std::size_t v = 0; v < analysis.labels.size(); ++v) {
    const Verdict verdict = verdict_of(analysis, v);
    if (verdict == Verdict::kNone) continue;
    const bool is_real = verdict != Verdict::kSame;
    const auto& p = analysis.summary.variants[v].difference->paired_p_holm;
    if (p && (*p <= analysis.summary.level) != is_real) (is_real ? pooled_only : paired_only).push_back(analysis.labels[v]);
  }
  std::string text;
  if (!pooled_only.empty())
    text = cat("Not confirmed by the paired test, which does not assume equal variances: ", listed(pooled_only), ". ");
  if (!paired_only.empty())
    text += cat("Different from the baseline by the paired test alone, which does not assume equal variances: ", listed(paired_only), ". ");
  return text.empty() ? "" : text + "More seeds would settle it.";
}

std::string power_note(const Analysis& analysis) {
  if (!analysis.detectable_difference) return "";
  std::string text =
      cat("Residual standard deviation ", fixed(*analysis.summary.residual_std, 4), " (", fixed(analysis.summary.residual_df, 0),
          analysis.summary.residual_df == 1 ? " degree" : " degrees", " of freedom): a true difference of ",
          fixed(*analysis.detectable_difference, 4), " would be found with 80 % probability at two-sided 5 %, family-wise");
  if (analysis.seeds_for_a_hundredth) text += cat("; one of 0.01 takes ", *analysis.seeds_for_a_hundredth, " seeds");
  return text + ".";
}

// docs/statistics.md: with fewer the standard error is a rough guess.
std::string few_documents(const Analysis& analysis) {
  constexpr double kEnough = 20;
  double fewest = kEnough;
  for (const auto& error : analysis.sample_error)
    if (error) fewest = std::min(fewest, error->effective_documents);
  return fewest < kEnough ? cat(" The held-out text counts for ", fixed(fewest, 0), " documents of one size: take it as a rough guess.")
                          : "";
}

std::string differ(double share) {
  return share == 0 ? "are the same" : cat("differ by at most ", fixed(std::max(100 * share, 0.01), 2), " %");
}

// How much more the costliest variant's run takes than the cheapest's; 0 where not all have a finished one.
double spread_of_run_flops(const Comparison& comparison, const Analysis& analysis) {
  double low = 0, high = 0;
  for (std::size_t v = 0; v < comparison.variants.size(); ++v) {
    double flops = 0;
    for (const Cell* cell : analysis.grid[v])
      if (cell != nullptr && cell->status == CellStatus::kFinished)
        flops = static_cast<double>(cell->steps) * flops_per_step(comparison, analysis, v);
    if (flops <= 0) return 0;
    low = low == 0 ? flops : std::min(low, flops);
    high = std::max(high, flops);
  }
  return low > 0 ? high / low - 1 : 0;
}

std::string equal_note(const Comparison& comparison, const Analysis& analysis) {
  if (comparison.equalize == "time") {
    return "Equal training time: each variant got the number of steps that fits the baseline's time and finished its own schedule.";
  }
  double mismatch = 0, low_flops = 0, high_flops = 0;
  for (const Variant& variant : comparison.variants) {
    mismatch = std::max(mismatch, std::abs(variant.d_ff_mismatch));
    low_flops = low_flops == 0 ? variant.flops_per_token : std::min(low_flops, variant.flops_per_token);
    high_flops = std::max(high_flops, variant.flops_per_token);
  }
  if (low_flops <= 0) return "";
  if (const double runs = spread_of_run_flops(comparison, analysis); runs > 0.01)
    return cat("Not equal FLOPs: a run of the costliest variant takes ", fixed(100 * runs, 1),
               " % more than one of the cheapest. Read the differences with that in mind.");
  const double spread = high_flops / low_flops - 1;
  if (spread > 0.01) {
    return cat("Equal steps, but not equal FLOPs: the costliest variant spends ", fixed(100 * spread, 1),
               " % more per token than the cheapest. Read the differences with that in mind.");
  }
  return cat(mismatch > 0.01 ? "Equal steps are equal FLOPs" : "Widths are matched, so equal steps are equal FLOPs",
             ": training FLOPs per token ", differ(spread), ", parameters of the feed-forward layer ", differ(mismatch),
             mismatch == 0 ? "." : " from the reference's.");
}

// Where the optimizer varies, so may its learning rate, which has another default for each.
std::string rate_note(const Comparison& comparison) {
  if (is_rate_tuned(comparison)) return sentence(cat("Learning rate: ", comparison.tuning_note));
  const std::string text = varies(comparison, kRate)              ? "it is one of the things that vary, not tuned."
                           : varies(comparison, "optimizer.type") ? "each optimizer's as the configuration has it, not tuned."
                                                                  : "the same for all variants, not tuned.";
  return cat("Learning rate: ", text, comparison.tuning_note.empty() ? "" : sentence(cat(" Other values: ", comparison.tuning_note)));
}

std::optional<double> number_of(const std::string& word) { return config::is_number(word) ? config::to_double(word) : std::nullopt; }

// Every value of a key that was tried for a variant; nothing where one of them is no number.
std::vector<double> tried(const Comparison& comparison, const Variant& variant, std::size_t key) {
  std::vector<double> numbers;
  for (const TuningPoint& point : comparison.tuning) {
    if (point.settings != variant.settings) continue;
    const auto number = number_of(point.candidate.at(key).second);
    if (!number) return {};
    numbers.push_back(*number);
  }
  return numbers;
}

// A chosen value that is the lowest or the highest tried: the best may lie beyond.
std::string edge_note(const Comparison& comparison) {
  std::string edges;
  for (const Variant& variant : comparison.variants) {
    for (std::size_t key = 0; key < variant.tuned.size(); ++key) {
      const std::vector<double> numbers = tried(comparison, variant, key);
      if (numbers.empty()) continue;
      const auto [low, high] = std::minmax_element(numbers.begin(), numbers.end());
      const auto& [name, value] = variant.tuned[key];
      const std::optional<double> chosen = number_of(value);
      if (*low < *high && (chosen == *low || chosen == *high))
        edges += cat(edges.empty() ? "" : ", ", label_of(variant.settings), " (", name, " ", value, ")");
    }
  }
  return edges.empty() ? "" : cat("At the edge of what was tried, so that a better value may lie beyond: ", edges, ".");
}

}  // namespace

std::vector<std::string> notes(const Comparison& comparison, const Analysis& analysis) {
  std::vector<std::string> lines;
  const auto add = [&](std::string text) {
    if (!text.empty()) lines.push_back(std::move(text));
  };
  if (only_one_seed(comparison)) {
    add(std::string(kOneSeed));
  } else {
    add(analysis.is_tested() ? tests_note(comparison, analysis) : sentence(cat("No tests: ", analysis.summary.untested)));
  }
  add(pending_note(comparison, analysis));
  add(learning_note(comparison, analysis));
  add(disagreement_note(analysis));
  for (const std::string& remark : analysis.summary.remarks) add(sentence(remark));
  for (std::size_t v = 0; v < analysis.labels.size(); ++v) {
    const auto& difference = analysis.summary.variants[v].difference;
    if (difference && !difference->remark.empty())
      add(cat(analysis.labels[v], " and ", analysis.labels[comparison.baseline], ": ", difference->remark, "."));
  }
  for (std::size_t v = 0; v < analysis.labels.size(); ++v) {
    const std::string status = status_of(comparison, analysis, v);
    if (!status.empty())
      add(cat(analysis.labels[v], ": ", status, analysis.summary.variants[v].analysed ? "" : cat("; ", no_verdict(analysis, v)), "."));
  }
  add(power_note(analysis));
  if (analysis.is_tested()) add("Intervals cover the randomness of training.");
  if (analysis.has_sample_errors())
    add(cat(
        "The held-out error is the standard error of the difference that comes from which documents were held out (paired, per document).",
        few_documents(analysis)));
  add(equal_note(comparison, analysis));
  add(rate_note(comparison));
  add(edge_note(comparison));
  add("The figure of a run is the one after its last step, never the best evaluation's. Readings in the middle of a curve are approximate: "
      "their learning rate has not decayed.");
  if (has_published(comparison))
    add("Paper: Shazeer 2020, \"GLU Variants Improve Transformer\", Table 1: T5 base on C4, mean (std of 4 runs) at 65,536 steps and one "
        "run of 524,288. Levels follow from data and size; differences are what can be compared.");
  return lines;
}

}  // namespace sluice::report
