// DIR/results.json: the machine-readable result of a comparison. Key names are stable.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "config/record.h"
#include "report/comparison.h"
#include "report/outcome.h"

namespace sluice::report {

// Not nested in ResultsRecord: clang 14 rejects std::optional of a nested struct with default
// member initializers.
struct PaperRecord {
  double mean = 0, std = 0, long_run = 0;
  static constexpr auto fields() {
    using config::field, config::Key;
    return std::tuple{
        field<&PaperRecord::mean>("Log-perplexity after 65,536 steps.", Key{"mean_65536"}),
        field<&PaperRecord::std>("Its standard deviation over runs.", Key{"std_65536"}),
        field<&PaperRecord::long_run>("Log-perplexity after 524,288 steps.", Key{"at_524288"})};
  }
};

struct ResultsRecord {
  static constexpr config::RecordFormat record{
      .name = "results",
      .place = "DIR/results.json",
      .summary =
          "A comparison: verdicts, cells and their provenance. Formulas: docs/statistics.md.",
      .expected = "a file written by `sluice compare`",
      .indent = 1};

  struct VariantSummary {
    Settings settings;
    bool baseline = false;
    std::uint64_t n = 0;
    std::optional<std::string> status;
    bool compared = false;
    std::vector<std::uint64_t> pending_seeds, seeds_without_learning;
    std::optional<double> mean, std, difference, difference_low, difference_high, sign_flip_p;
    std::optional<Outcome> verdict;
    std::optional<std::int64_t> found_at_seeds, seeds_to_decide;
    std::optional<std::uint64_t> seeds_better;
    std::optional<double> better_rate_low, better_rate_high, p, p_holm, paired_p, paired_p_holm;
    std::optional<std::string> letters;
    std::optional<double> held_out_error, effective_documents;
    std::optional<std::uint64_t> num_documents;
    std::optional<std::int64_t> num_parameters;
    std::optional<double> multiply_adds_per_token, flops_per_token;
    std::optional<std::int64_t> d_ff;
    std::optional<double> d_ff_mismatch;
    Settings tuned;
    std::vector<std::string> grid_doubts;
    std::optional<PaperRecord> paper;

    static constexpr auto fields() {
      using config::field;
      using V = VariantSummary;
      return std::tuple{
          field<&V::settings>("Values of the varied keys."),
          field<&V::baseline>("Whether it is the baseline of the comparison."),
          field<&V::n>("Number of finished seeds; of groups of seeds with compare.tune.repeat."),
          field<&V::status>("States of the unfinished seeds, as text; null if all are finished."),
          field<&V::compared>("Whether it is included in the tests: false if it is pending, a run "
                              "diverged or failed, or nothing is tested."),
          field<&V::pending_seeds>("Seeds that have not finished yet."),
          field<&V::seeds_without_learning>("Seeds whose model did not learn."),
          field<&V::mean>("Mean of the metric over the finished seeds."),
          field<&V::std>("Sample standard deviation; null for fewer than two seeds."),
          field<&V::difference>("Mean difference from the baseline over `seeds_compared`; null for "
                                "the baseline and without a verdict."),
          field<&V::difference_low>("Lower bound of its simultaneous confidence interval, by "
                                    "inverting the sign-flip test; null if unbounded."),
          field<&V::difference_high>("Upper bound; null if unbounded."),
          field<&V::sign_flip_p>("p-value of the sign-flip test, adjusted over the comparisons."),
          field<&V::verdict>("better, worse, equivalent, undecided or broken; null for the "
                             "baseline."),
          field<&V::found_at_seeds>("Number of seeds at which the difference was first "
                                    "significant; null if it is not."),
          field<&V::seeds_to_decide>("Seeds that would decide an undecided variant with 80 % "
                                     "probability, if difference and spread are the true ones."),
          field<&V::seeds_better>("Compared seeds, or groups of seeds, in which the variant is "
                                  "better."),
          field<&V::better_rate_low>("Lower bound of the 95 % interval (Clopper-Pearson) for the "
                                     "probability that the variant is better in a seed."),
          field<&V::better_rate_high>("Upper bound."),
          field<&V::p>("p-value from the block model (variant + seed)."),
          field<&V::p_holm>("The same, Holm-adjusted."),
          field<&V::paired_p>("p-value of the paired t-test."),
          field<&V::paired_p_holm>("The same, Holm-adjusted."),
          field<&V::letters>("Variants that share a letter are not significantly different."),
          field<&V::held_out_error>(
              "Standard error of the difference due to the choice of held-out "
              "documents; log_perplexity only."),
          field<&V::effective_documents>("Effective number of held-out documents; below about 20, "
                                         "`held_out_error` is a rough estimate."),
          field<&V::num_documents>("Number of held-out documents."),
          field<&V::num_parameters>("Parameters of the model."),
          field<&V::multiply_adds_per_token>(
              "Multiply-adds of the forward pass, per target token."),
          field<&V::flops_per_token>("FLOPs of training, per target token."),
          field<&V::d_ff>("Width of the feed-forward layer."),
          field<&V::d_ff_mismatch>(
              "Relative difference between its parameters and those of the reference layer."),
          field<&V::tuned>("Values chosen by compare.tune; with compare.tune.repeat see `tuning`."),
          field<&V::grid_doubts>("How the grid of compare.tune limits the verdict, as text."),
          field<&V::paper>("Results of Shazeer 2020 for this layer.")};
    }
  };

  struct CellRecord {
    Settings settings;
    std::uint64_t seed = 0;
    CellState status = CellState::kWaiting;
    std::optional<std::string> remark;
    std::optional<double> log_perplexity, bits_per_byte, uniform_log_perplexity;
    std::optional<bool> learned_nothing;
    std::optional<std::int64_t> steps;
    std::optional<std::uint64_t> tokens;
    std::optional<double> training_seconds;
    std::optional<std::string> hash, build, libtorch, cpu, device, precision;
    std::optional<std::int64_t> threads;
    std::optional<std::string> directory;

    static constexpr auto fields() {
      using config::field;
      using C = CellRecord;
      return std::tuple{
          field<&C::settings>("Values of the varied keys."),
          field<&C::seed>("Seed."),
          field<&C::status>("finished, diverged, failed or waiting."),
          field<&C::remark>("Reason for a missing result."),
          field<&C::log_perplexity>("Held-out, after the last step; finished cells only."),
          field<&C::bits_per_byte>("The same in bits per byte; null if the targets are not text."),
          field<&C::uniform_log_perplexity>(
              "Log-perplexity of a uniform guess over the vocabulary."),
          field<&C::learned_nothing>(
              "Whether the model did not learn: no better than a uniform guess or than before "
              "training."),
          field<&C::steps>("Steps of the run."),
          field<&C::tokens>("Target tokens trained on."),
          field<&C::training_seconds>("Time spent in training steps."),
          field<&C::hash>("Hash of everything that determines the result."),
          field<&C::build>("Program and revision."),
          field<&C::libtorch>("Version of LibTorch."),
          field<&C::cpu>("Processor model."),
          field<&C::device>("cpu or cuda."),
          field<&C::precision>("fp32 or bf16."),
          field<&C::threads>("Threads."),
          field<&C::directory>("Run directory.")};
    }
  };

  struct TuningRecord {
    Settings settings, candidate;
    std::uint64_t group = 0;
    std::vector<double> log_perplexity;
    std::optional<std::string> remark;
    bool learned_nothing = false, chosen = false;

    static constexpr auto fields() {
      using config::field;
      using T = TuningRecord;
      return std::tuple{field<&T::settings>("Values of the varied keys."),
                        field<&T::candidate>("Candidate values."),
                        field<&T::group>("Index of the group of seeds (compare.tune.repeat)."),
                        field<&T::log_perplexity>("On the tuning split, one per tuning seed."),
                        field<&T::remark>("Reason for a missing result."),
                        field<&T::learned_nothing>("Whether any of its runs did not learn."),
                        field<&T::chosen>("Whether it was chosen for the variant.")};
    }
  };

  struct Versions {
    std::int64_t format = 2;
    std::string sluice;
    std::vector<std::string> builds, libtorch;
    static constexpr auto fields() {
      using config::field;
      return std::tuple{field<&Versions::format>("Version of this format."),
                        field<&Versions::sluice>("Program that wrote the report."),
                        field<&Versions::builds>("Builds that ran the cells."),
                        field<&Versions::libtorch>("LibTorch versions that ran the cells.")};
    }
  };

  std::string name;
  Metric metric = Metric::kLogPerplexity;
  std::optional<std::int64_t> average_last;
  std::string objective;
  Equalize equalize = Equalize::kSteps;
  Settings baseline;
  std::vector<std::uint64_t> seeds, seeds_compared;
  std::uint64_t seed_groups = 1;
  std::uint64_t comparisons = 0;
  std::string headline;
  std::optional<std::string> conditions;
  std::vector<std::string> notes;
  std::optional<double> residual_std, detectable_difference;
  std::optional<std::int64_t> seeds_for_a_hundredth;
  Overall outcome = Overall::kUndecided;
  std::optional<double> test_level, smallest_p, margin;
  std::vector<std::int64_t> looks;
  std::optional<std::string> spending;
  std::vector<std::string> plan_changes;
  std::vector<VariantSummary> summary;
  std::vector<CellRecord> cells;
  std::vector<TuningRecord> tuning;
  std::optional<std::string> tuning_note;
  std::string config;
  std::vector<std::string> commands;
  std::optional<std::string> data_fingerprint, tokenizer_hash, seal;
  std::uint64_t unsealed_cells = 0;
  Versions versions;

  static constexpr auto fields() {
    using config::field;
    using R = ResultsRecord;
    return std::tuple{
        field<&R::name>("run.name."),
        field<&R::metric>("log_perplexity or bits_per_byte."),
        field<&R::average_last>("Number of last evaluations whose mean the metric is; null: only "
                                "the last one."),
        field<&R::objective>("Type of the objective."),
        field<&R::equalize>("steps or time."),
        field<&R::baseline>("Settings of the baseline."),
        field<&R::seeds>("All requested seeds."),
        field<&R::seeds_compared>("Seeds finished by all compared variants."),
        field<&R::seed_groups>("Groups of seeds tuned separately, whose means are compared; 1: "
                               "single seeds are compared."),
        field<&R::comparisons>("Number of comparisons with the baseline, for which p-values and "
                               "intervals are adjusted."),
        field<&R::headline>("Verdict and conditions, as text."),
        field<&R::conditions>("Conditions of the verdict, as text: steps, learning rate, curves."),
        field<&R::notes>("Notes of the report."),
        field<&R::residual_std>("Residual standard deviation of the block model."),
        field<&R::detectable_difference>(
            "Difference from the baseline that would be detected with 80 % power."),
        field<&R::seeds_for_a_hundredth>("Number of seeds needed to detect a difference of 0.01.",
                                         config::Key{"seeds_for_0.01"}),
        field<&R::outcome>("differs, equivalent, undecided or broken, as `sluice verdict`."),
        field<&R::test_level>("Level of the tests; with looks, that of this look. Null if "
                              "nothing is tested."),
        field<&R::smallest_p>("Smallest p that these seeds can give."),
        field<&R::margin>("compare.margin."),
        field<&R::looks>("compare.looks."),
        field<&R::spending>("compare.spending; null without looks."),
        field<&R::plan_changes>("Changes of the plan after results were known, as text."),
        field<&R::summary>("One object per variant, in the order of the configuration."),
        field<&R::cells>("One object per variant and seed."),
        field<&R::tuning>("Results of all tuning candidates."),
        field<&R::tuning_note>("Tuned keys and tuning seeds, as text."),
        field<&R::config>("The comparison's configuration, as YAML."),
        field<&R::commands>("Commands that reproduce the comparison."),
        field<&R::data_fingerprint>("Null if the variants use different data."),
        field<&R::tokenizer_hash>("Null if the variants use different tokenizers."),
        field<&R::seal>("SHA-256 of DIR/seal.txt; null if no cell is sealed."),
        field<&R::unsealed_cells>("Ended cells without a seal, run by an earlier version."),
        field<&R::versions>("Versions of the programs involved.")};
  }
};

}  // namespace sluice::report
