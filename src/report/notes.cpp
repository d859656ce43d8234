// The notes of a report: notes() of analysis.h.
#include <algorithm>
#include <cmath>
#include <optional>

#include "base/text_format.h"
#include "report/analysis.h"
#include "report/published.h"
#include "report/tables.h"
#include "report/text.h"
#include "report/tuned_values.h"
#include "report/wording.h"

namespace sluice::report {
namespace {

constexpr std::string_view kOneSeed =
    "Only one seed: no standard deviations, confidence intervals or p-values, and variants are not "
    "ranked; they are listed in the order of the configuration.";

constexpr std::string_view kInterpret = "Interpret the differences accordingly.";

bool only_one_seed(const Comparison& comparison) { return comparison.seeds.size() == 1; }

bool is_finished(const CellResult* cell) {
  return cell != nullptr && cell->state == CellState::kFinished;
}

std::vector<std::uint64_t> compared_seeds(const Comparison& comparison, const Analysis& analysis) {
  std::vector<std::uint64_t> seeds;
  for (const std::size_t s : analysis.compared_seeds()) seeds.push_back(comparison.seeds[s]);
  return seeds;
}

std::string average_note(const Comparison& comparison) {
  if (!comparison.average_last) return "";
  return cat("Each value is the mean over the last ", *comparison.average_last,
             " evaluations of its run; the held-out error is that of the last one.");
}

std::string tests_note(const Comparison& comparison, const Analysis& analysis) {
  const stats::Summary& summary = analysis.summary;
  return cat(
      "Differences are variant − baseline in ", metric_unit(comparison),
      "; negative values favor the variant. p is from the paired sign-flip test over ",
      seeds_text(compared_seeds(comparison, analysis)), ", adjusted for ",
      count_of(static_cast<std::int64_t>(summary.num_comparisons), "comparison"),
      " with the baseline (max-T). A difference is significant if p is at most ",
      short_number(summary.test_level), summary.look ? " (the level of this look)" : "",
      comparison.plan_changes.empty()
          ? "; the family-wise error rate is then 5 %, whatever the spreads, if the differences "
            "of a seed without effect are jointly as probable with the opposite signs (not if "
            "results are skewed: docs/statistics.md)"
          : "",
      ". The simultaneous ", interval_percent(analysis),
      " % intervals invert this test. \"Better in\" counts the ", units(analysis),
      " in which the variant is better than the baseline, with the 95 % interval of the "
      "probability that it is better in one (not adjusted). Variants that share a letter are "
      "not significantly "
      "different (all pairs, the same test). The two t-tests (Holm-adjusted) are secondary: "
      "the pooled one assumes normal results and equal variances, the paired one normal "
      "differences.");
}

std::string looks_note(const Comparison& comparison, const Analysis& analysis) {
  if (comparison.looks.empty()) return "";
  std::vector<std::string> looks;
  for (const std::int64_t look : comparison.looks) looks.push_back(cat(look));
  std::string text =
      cat("Looks were fixed before the first run: at ", listed(looks, "looks"), " seeds (",
          comparison.spending == stats::Spending::kPocock ? "Pocock" : "O'Brien-Fleming",
          " spending). ");
  if (!analysis.summary.look) return text + "Between looks there is no test.";
  text += cat("This is look ", *analysis.summary.look + 1, " of ", looks.size(), ".");
  for (std::size_t v = 0; v < analysis.labels.size(); ++v) {
    const auto& difference = analysis.summary.variants[v].difference;
    if (difference && difference->found_at_look &&
        *difference->found_at_look < *analysis.summary.look)
      text += cat(" ", analysis.labels[v], " was decided at look ", *difference->found_at_look + 1,
                  ".");
  }
  return text;
}

std::string powerless_note(const Analysis& analysis) {
  return analysis.is_tested() && analysis.summary.is_powerless()
             ? sentence(cat("No difference can be significant ", powerless_text(analysis)))
             : "";
}

std::string margin_note(const Comparison& comparison, const Analysis& analysis) {
  if (!comparison.margin || !analysis.is_tested()) return "";
  std::string text = cat("Equivalent means that the whole interval lies within ±",
                         short_number(*comparison.margin), " ", metric_unit(comparison),
                         ", the margin (two one-sided tests).");
  std::vector<std::string> also;
  for (std::size_t v = 0; v < analysis.labels.size(); ++v)
    if (verdict_of(analysis, v) == Verdict::kEquivalent &&
        analysis.summary.variants[v].difference->found_at_look)
      also.push_back(analysis.labels[v]);
  if (!also.empty())
    text += cat(" Significant as well, but smaller than the margin: ", listed(also), ".");
  return text;
}

// Runs whose plan could not give a verdict and was extended when their results were known.
std::string extended_note(const Comparison& comparison) {
  return comparison.extended_plans.empty()
             ? ""
             : cat("Extended after results were known, from a plan with too few seeds for a "
                   "verdict: ",
                   listed(comparison.extended_plans, "plans"),
                   ". If the extension depended on these results, the error rate is above 5 %.");
}

// How many seeds would decide the undecided variants.
std::string undecided_note(const Analysis& analysis) {
  std::vector<std::string> variants;
  for (std::size_t v = 0; v < analysis.labels.size(); ++v) {
    const auto& difference = analysis.summary.variants[v].difference;
    if (difference && difference->seeds_to_decide)
      variants.push_back(cat(analysis.labels[v], " (", *difference->seeds_to_decide, ")"));
  }
  return variants.empty() ? ""
                          : cat(analysis.summary.unit == "seed" ? "Seeds" : "Groups",
                                " that would decide with 80 % probability, if differences and "
                                "spreads are the true ones (t approximation): ",
                                listed(variants),
                                analysis.summary.is_powerless()
                                    ? "."
                                    : ". They belong to a new comparison or to declared looks.");
}

// Seeds after a look, excluded until the next one.
std::string pending_note(const Comparison& comparison, const Analysis& analysis) {
  if (!analysis.is_tested()) return "";
  std::vector<std::string> seeds;
  const std::vector<std::size_t> compared = analysis.compared_seeds();
  for (std::size_t s = 0; s < comparison.seeds.size(); ++s) {
    if (std::find(compared.begin(), compared.end(), s) != compared.end()) continue;
    std::vector<std::string> missing;
    for (std::size_t v = 0; v < analysis.labels.size(); ++v)
      if (analysis.summary.variants[v].analyzed && !is_finished(analysis.grid[v][s]))
        missing.push_back(analysis.labels[v]);
    seeds.push_back(missing.empty()
                        ? cat(comparison.seeds[s], " (after an unfinished one)")
                        : cat(comparison.seeds[s], " (missing for ", listed(missing), ")"));
  }
  return seeds.empty() ? ""
                       : cat("Seeds excluded until all compared variants have finished them: ",
                             listed(seeds, "seeds"), ".");
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
               " includes a run that did not learn (its final log-perplexity is no better than a "
               "uniform guess over the vocabulary, or unchanged since the start): ",
               listed(variants), ". Differences that involve such a run are not meaningful.");
  if (!tuned.empty())
    text += cat(text.empty() ? "" : " ",
                "Variants for which every candidate of compare.tune had a run that did not learn: ",
                listed(tuned), ".");
  return text;
}

// Verdicts on which the pooled t-test disagrees.
std::string disagreement_note(const Analysis& analysis) {
  if (analysis.summary.is_powerless()) return "";
  std::vector<std::string> flip_only, pooled_only;
  for (std::size_t v = 0; v < analysis.labels.size(); ++v) {
    const auto& difference = analysis.summary.variants[v].difference;
    if (!analysis.is_tested() || !difference || !difference->p_holm) continue;
    const bool is_found = difference->found_at_look.has_value(),
               is_pooled = *difference->p_holm <= analysis.summary.test_level;
    if (is_found && !is_pooled) flip_only.push_back(analysis.labels[v]);
    if (!is_found && is_pooled) pooled_only.push_back(analysis.labels[v]);
  }
  std::string text;
  if (!pooled_only.empty())
    text = cat("Significant only in the pooled t-test, which assumes equal variances: ",
               listed(pooled_only), ". ");
  if (!flip_only.empty())
    text += cat("Not significant in the pooled t-test, which assumes equal variances: ",
                listed(flip_only), ". ");
  return text.empty() ? "" : text + "The verdict is that of the sign-flip test.";
}

std::string power_note(const Analysis& analysis) {
  if (!analysis.seeds_for_a_hundredth && !analysis.detectable_difference) return "";
  std::string text =
      cat("Residual standard deviation ", fixed(*analysis.summary.residual_std, 4), " (",
          fixed(analysis.summary.residual_df, 0),
          analysis.summary.residual_df == 1 ? " degree" : " degrees", " of freedom)");
  if (analysis.detectable_difference)
    text += cat(": a true difference of ", fixed(*analysis.detectable_difference, 4),
                " would be detected with 80 % power (two-sided, family-wise error rate 5 %, t "
                "approximation)");
  if (analysis.seeds_for_a_hundredth)
    text += cat("; detecting 0.01 requires ", *analysis.seeds_for_a_hundredth, " seeds");
  return text + ".";
}

// docs/statistics.md: with fewer documents the standard error is a rough estimate.
std::string few_documents(const Analysis& analysis) {
  constexpr double kEnough = 20;
  double fewest = kEnough;
  for (const auto& error : analysis.sample_error)
    if (error) fewest = std::min(fewest, error->effective_documents);
  return fewest < kEnough ? cat(" The effective number of held-out documents is only ",
                                fixed(fewest, 0), ", so this standard error is a rough estimate.")
                          : "";
}

std::string differ(double share) {
  return share == 0 ? "are the same"
                    : cat("differ by at most ", fixed(std::max(100 * share, 0.01), 2), " %");
}

// Relative excess in FLOPs of the most expensive variant's run over the cheapest; 0 unless every
// variant has a finished run.
double spread_of_run_flops(const Comparison& comparison, const Analysis& analysis) {
  double low = 0, high = 0;
  for (std::size_t v = 0; v < comparison.variants.size(); ++v) {
    double flops = 0;
    for (const CellResult* cell : analysis.grid[v])
      if (cell != nullptr && cell->state == CellState::kFinished)
        flops = static_cast<double>(cell->steps) * flops_per_step(comparison, analysis, v);
    if (flops <= 0) return 0;
    low = low == 0 ? flops : std::min(low, flops);
    high = std::max(high, flops);
  }
  return low > 0 ? high / low - 1 : 0;
}

std::string equal_note(const Comparison& comparison, const Analysis& analysis) {
  if (comparison.equalize == Equalize::kTime) {
    return "Equal training time: each variant trained for as many steps as fit into the baseline's "
           "training time, with a schedule of that length.";
  }
  double mismatch = 0, low_flops = 0, high_flops = 0;
  for (const Variant& variant : comparison.variants) {
    mismatch = std::max(mismatch, std::abs(variant.sizes.d_ff_mismatch));
    low_flops = low_flops == 0 ? variant.sizes.flops_per_token
                               : std::min(low_flops, variant.sizes.flops_per_token);
    high_flops = std::max(high_flops, variant.sizes.flops_per_token);
  }
  if (low_flops <= 0) return "";
  if (const double runs = spread_of_run_flops(comparison, analysis); runs > 0.01)
    return cat("Unequal FLOPs: a run of the most expensive variant takes ", fixed(100 * runs, 1),
               " % more FLOPs than a run of the cheapest. ", kInterpret);
  const double spread = high_flops / low_flops - 1;
  if (spread > 0.01) {
    return cat("Equal steps, but unequal FLOPs: the most expensive variant takes ",
               fixed(100 * spread, 1), " % more FLOPs per token than the cheapest. ", kInterpret);
  }
  return cat(mismatch > 0.01 ? "Equal steps mean equal FLOPs"
                             : "Widths are matched, so equal steps mean equal FLOPs",
             ": training FLOPs per token ", differ(spread),
             ", parameters of the feed-forward layer ", differ(mismatch),
             mismatch == 0 ? "." : " from the reference layer.");
}

// Optimizers have different default learning rates, so if the optimizer varies, the rate may too.
std::string rate_note(const Comparison& comparison) {
  if (is_rate_tuned(comparison)) return sentence(cat("Learning rate: ", comparison.tuning_note));
  const std::string text = varies(comparison, kRate) ? "varied, not tuned."
                           : varies(comparison, "optimizer.type")
                               ? "configured per optimizer, not tuned."
                               : "the same for all variants, not tuned.";
  return cat("Learning rate: ", text,
             comparison.tuning_note.empty()
                 ? ""
                 : sentence(cat(" Other settings: ", comparison.tuning_note)));
}

std::string edge_note(const Comparison& comparison) {
  std::vector<std::string> edges;
  for (const Variant& variant : comparison.variants)
    for (const std::string& value : edge_values(comparison, variant.settings))
      edges.push_back(cat(label_of(variant.settings), " (", value, ")"));
  return edges.empty() ? ""
                       : cat("Chosen at the edge of the grid, so a better value may lie outside: ",
                             listed(edges, "values"), ".");
}

// The same text, such as one about the baseline, once for all variants that it concerns.
std::vector<std::string> coarse_grid_notes(const Comparison& comparison, const Analysis& analysis) {
  std::vector<std::pair<std::string, std::vector<std::string>>> variants_of;
  for (std::size_t v = 0; v < analysis.labels.size(); ++v) {
    for (const std::string& text : coarse_grids(comparison, analysis, v)) {
      auto same = std::find_if(variants_of.begin(), variants_of.end(),
                               [&](const auto& one) { return one.first == text; });
      if (same == variants_of.end()) same = variants_of.insert(variants_of.end(), {text, {}});
      same->second.push_back(analysis.labels[v]);
    }
  }
  std::vector<std::string> notes;
  for (const auto& [text, variants] : variants_of)
    notes.push_back(sentence(cat("Verdict on ", listed(variants), ": ", text,
                                 " (parabola through the chosen value and its neighbors)")));
  return notes;
}

// With compare.tune.repeat.
std::string groups_note(const Comparison& comparison) {
  return comparison.seed_groups == 1
             ? ""
             : cat("Compared are the means of ", comparison.seed_groups, " groups of ",
                   count_of(
                       static_cast<std::int64_t>(comparison.seeds.size() / comparison.seed_groups),
                       "consecutive seed"),
                   ", each tuned by its own runs, so that intervals and p "
                   "contain the uncertainty of the choice.");
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
    add(analysis.is_tested() ? tests_note(comparison, analysis)
                             : sentence(cat("No tests: ", analysis.summary.untested)));
  }
  add(powerless_note(analysis));
  add(looks_note(comparison, analysis));
  for (const std::string& change : comparison.plan_changes)
    add(sentence(cat("The error rate does not hold: ", change)));
  add(extended_note(comparison));
  add(margin_note(comparison, analysis));
  add(undecided_note(analysis));
  add(average_note(comparison));
  add(pending_note(comparison, analysis));
  add(learning_note(comparison, analysis));
  add(disagreement_note(analysis));
  for (const std::string& remark : analysis.summary.remarks) add(sentence(remark));
  for (std::size_t v = 0; v < analysis.labels.size(); ++v) {
    const auto& difference = analysis.summary.variants[v].difference;
    if (difference && !difference->remark.empty())
      add(cat(analysis.labels[v], " and ", analysis.labels[comparison.baseline], ": ",
              difference->remark, "."));
  }
  for (std::size_t v = 0; v < analysis.labels.size(); ++v) {
    const std::string status = status_of(comparison, analysis, v);
    if (!status.empty())
      add(cat(analysis.labels[v], ": ", status,
              analysis.summary.variants[v].analyzed ? "" : cat("; ", no_verdict(analysis, v)),
              "."));
  }
  add(power_note(analysis));
  if (analysis.is_tested()) add("Confidence intervals cover the randomness of training only.");
  if (analysis.has_sample_errors())
    add(
        cat("The held-out error is the standard error of the difference due to the choice of "
            "held-out documents (paired by document).",
            few_documents(analysis)));
  add(equal_note(comparison, analysis));
  add(rate_note(comparison));
  add(groups_note(comparison));
  add(edge_note(comparison));
  for (std::string& note : coarse_grid_notes(comparison, analysis)) add(std::move(note));
  add("The result of a run is measured after its last step, never at its best evaluation. Values "
      "in the middle of a curve are approximate because the learning rate has not decayed.");
  if (has_published(comparison))
    add("Paper: Shazeer 2020, \"GLU Variants Improve Transformer\", Table 1: T5 base on C4, mean "
        "(standard deviation) of 4 runs of 65,536 steps, and one run of 524,288 steps. Absolute "
        "values depend on data and model size; only differences are comparable.");
  return lines;
}

}  // namespace sluice::report
