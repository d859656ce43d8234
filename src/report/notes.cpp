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

namespace sluice::report {
namespace {

constexpr std::size_t kMaxListed = 12;
constexpr std::string_view kOneSeed =
    "One seed proves nothing: without a second there is no spread to hold a difference against. So there is no standard deviation, no "
    "interval, no p and no ranking; variants stand in the order asked for.";

// "a, b and c"; "a, 1; b, 2 and c, 3" where names have commas; only how many where the list would be a table of its own.
std::string listed(const std::vector<std::string>& names) {
  if (names.size() > kMaxListed) return cat(names.size(), " variants");
  const bool has_commas =
      std::any_of(names.begin(), names.end(), [](const std::string& name) { return name.find(',') != std::string::npos; });
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    text.append(i == 0 ? "" : i + 1 == names.size() ? " and " : has_commas ? "; " : ", ").append(names[i]);
  }
  return text;
}

std::vector<std::string> labels_with(const Analysis& analysis, Verdict verdict) {
  std::vector<std::string> labels;
  for (std::size_t v = 0; v < analysis.labels.size(); ++v) {
    if (verdict_of(analysis, v) == verdict) labels.push_back(analysis.labels[v]);
  }
  if (verdict == Verdict::kNone) std::erase(labels, analysis.labels[analysis.summary.baseline]);
  return labels;
}

bool only_one_seed(const Comparison& comparison) { return comparison.seeds.size() == 1; }

std::string tests_note(const Comparison& comparison, const Analysis& analysis) {
  std::string text =
      cat("Differences are variant − baseline in ", metric_unit(comparison),
          ": below 0 the variant is better. They, their p and their "
          "simultaneous 95 % "
          "intervals (Bonferroni) come from the additive variant + seed model over ",
          analysis.summary.blocks.size(),
          " seeds; p is adjusted by Holm's rule. The paired t-test beside it needs no equal variances. Variants "
          "that share a letter cannot be told apart (all pairs, Holm). A difference is called real where p, Holm, is at most 0.05.");
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
    text = cat("Not confirmed by the paired test, which does not take all variants to vary alike: ", listed(pooled_only), ". ");
  if (!paired_only.empty())
    text +=
        cat("Different from the baseline by the paired test alone, which does not take all variants to vary alike: ", listed(paired_only),
            ". ");
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
bool varies(const Comparison& comparison, std::string_view key) {
  const Settings& settings = comparison.variants.front().settings;
  return std::any_of(settings.begin(), settings.end(), [&](const auto& setting) { return setting.first == key; });
}

std::string rate_note(const Comparison& comparison) {
  constexpr std::string_view kRate = "optimizer.lr";
  if (comparison.tuning_note.find(kRate) != std::string::npos) return sentence(cat("Learning rate: ", comparison.tuning_note));
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

std::string headline(const Comparison& comparison, const Analysis& analysis) {
  const std::string& baseline = analysis.labels[comparison.baseline];
  if (only_one_seed(comparison)) return "One seed proves nothing: figures without a ranking.";
  if (!analysis.is_tested()) return sentence(cat("No verdict: ", analysis.summary.untested));
  const auto lower = labels_with(analysis, Verdict::kLower), higher = labels_with(analysis, Verdict::kHigher),
             same = labels_with(analysis, Verdict::kSame), none = labels_with(analysis, Verdict::kNone);
  std::string text;
  const auto add = [&](const std::vector<std::string>& labels, std::string_view one, std::string_view many) {
    if (labels.empty()) return;
    text += cat(text.empty() ? "" : " ", listed(labels), " ", labels.size() == 1 ? one : many, ".");
  };
  add(lower, cat("reaches a lower ", metric_title(comparison), " than ", baseline),
      cat("reach a lower ", metric_title(comparison), " than ", baseline));
  add(higher, cat("ends higher than ", baseline), cat("end higher than ", baseline));
  add(same, cat("cannot be told apart from ", baseline, " with ", analysis.summary.blocks.size(), " seeds"),
      cat("cannot be told apart from ", baseline, " with ", analysis.summary.blocks.size(), " seeds"));
  add(none, "has no verdict", "have no verdict");
  return text;
}

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
