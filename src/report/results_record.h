// DIR/results.json: a comparison for programs. Key names are promises.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "config/record.h"
#include "report/comparison.h"

namespace sluice::report {

// Beside ResultsRecord, not in it: clang 14 cannot put a nested struct with initial values into a std::optional there.
struct PaperRecord {
  double mean = 0, std = 0, long_run = 0;
  static constexpr auto fields() {
    using config::field, config::Key;
    return std::tuple{field<&PaperRecord::mean>("Log-perplexity after 65,536 steps.", Key{"mean_65536"}),
                      field<&PaperRecord::std>("Its standard deviation over runs.", Key{"std_65536"}),
                      field<&PaperRecord::long_run>("Log-perplexity after 524,288 steps.", Key{"at_524288"})};
  }
};

struct ResultsRecord {
  static constexpr config::RecordFormat record{
      .name = "results",
      .place = "DIR/results.json",
      .summary = "A comparison: its verdicts, every cell and how it was made. docs/statistics.md has the formulas.",
      .expected = "what `sluice compare` wrote",
      .indent = 1};

  struct VariantSummary {
    Settings settings;
    bool baseline = false;
    std::uint64_t n = 0;
    std::optional<std::string> status;
    bool compared = false;
    std::vector<std::uint64_t> pending_seeds, seeds_without_learning;
    std::optional<double> mean, std, difference, difference_low, difference_high, p, p_holm, paired_p, paired_p_holm;
    std::optional<std::string> letters;
    std::optional<double> held_out_error, effective_documents;
    std::optional<std::uint64_t> num_documents;
    std::optional<std::int64_t> num_parameters;
    std::optional<double> multiply_adds_per_token, flops_per_token;
    std::optional<std::int64_t> d_ff;
    std::optional<double> d_ff_mismatch;
    Settings tuned;
    std::optional<PaperRecord> paper;

    static constexpr auto fields() {
      using config::field;
      using V = VariantSummary;
      return std::tuple{
          field<&V::settings>("Values of the varied keys."),
          field<&V::baseline>("Whether the others are compared with it."),
          field<&V::n>("Finished seeds."),
          field<&V::status>("What became of the others; null: all finished."),
          field<&V::compared>("Whether the tests include it: false for a variant that is pending or broken, and where nothing is tested."),
          field<&V::pending_seeds>("Seeds still to do."),
          field<&V::seeds_without_learning>("Seeds whose model has learned nothing."),
          field<&V::mean>("Of the metric over the finished seeds."),
          field<&V::std>("Sample standard deviation; from two seeds on."),
          field<&V::difference>("From the baseline, over `seeds_compared`; null for the baseline and without a verdict."),
          field<&V::difference_low>("Lower end of its simultaneous 95 % interval."),
          field<&V::difference_high>("Upper end."),
          field<&V::p>("Of the additive model of variants and seeds."),
          field<&V::p_holm>("The same, adjusted by Holm."),
          field<&V::paired_p>("Of the paired t-test."),
          field<&V::paired_p_holm>("The same, adjusted by Holm."),
          field<&V::letters>("Variants that share a letter are not told apart."),
          field<&V::held_out_error>(
              "Standard error of the difference that comes from the choice of held-out documents; for log_perplexity only."),
          field<&V::effective_documents>(
              "Documents of one size that the held-out text counts for; below about 20 `held_out_error` is a rough guess."),
          field<&V::num_documents>("Held-out documents."),
          field<&V::num_parameters>("Parameters of the model."),
          field<&V::multiply_adds_per_token>("Of the forward pass, per target token."),
          field<&V::flops_per_token>("Of training, per target token."),
          field<&V::d_ff>("Width of the feed-forward layer."),
          field<&V::d_ff_mismatch>("Its parameters against those of the reference layer, as a share."),
          field<&V::tuned>("Values chosen by compare.tune."),
          field<&V::paper>("What Shazeer 2020 reports for this layer.")};
    }
  };

  struct CellRecord {
    Settings settings;
    std::uint64_t seed = 0;
    std::string status;
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
      return std::tuple{field<&C::settings>("Values of the varied keys."),
                        field<&C::seed>("Seed."),
                        field<&C::status>("finished, diverged, failed or waiting."),
                        field<&C::remark>("Why there is no figure."),
                        field<&C::log_perplexity>("Held-out, after the last step; finished cells only."),
                        field<&C::bits_per_byte>("Likewise; null where targets are not text."),
                        field<&C::uniform_log_perplexity>("What a uniform guess gives."),
                        field<&C::learned_nothing>("Whether the model is no better than a guess or than before training."),
                        field<&C::steps>("Steps of the run."),
                        field<&C::tokens>("Target tokens trained on."),
                        field<&C::training_seconds>("Spent in steps."),
                        field<&C::hash>("Of everything that determines the result."),
                        field<&C::build>("Program and revision."),
                        field<&C::libtorch>("Version of LibTorch."),
                        field<&C::cpu>("Processor model."),
                        field<&C::device>("cpu or cuda."),
                        field<&C::precision>("fp32 or bf16."),
                        field<&C::threads>("Threads."),
                        field<&C::directory>("Where its run is.")};
    }
  };

  struct TuningRecord {
    Settings settings, candidate;
    std::vector<double> log_perplexity;
    std::optional<std::string> remark;
    bool learned_nothing = false, chosen = false;

    static constexpr auto fields() {
      using config::field;
      using T = TuningRecord;
      return std::tuple{field<&T::settings>("Values of the varied keys."),
                        field<&T::candidate>("Values that were tried."),
                        field<&T::log_perplexity>("On the tuning split, one per tuning seed."),
                        field<&T::remark>("Why there is no figure."),
                        field<&T::learned_nothing>("Whether a run of it has learned nothing."),
                        field<&T::chosen>("Whether the variant takes it.")};
    }
  };

  struct Versions {
    std::int64_t format = 1;
    std::string sluice;
    std::vector<std::string> builds, libtorch;
    static constexpr auto fields() {
      using config::field;
      return std::tuple{field<&Versions::format>("Of this file."), field<&Versions::sluice>("Of the program that wrote the report."),
                        field<&Versions::builds>("That made the cells."), field<&Versions::libtorch>("That made the cells.")};
    }
  };

  std::string name, metric, objective, equalize;
  Settings baseline;
  std::vector<std::uint64_t> seeds, seeds_compared;
  std::uint64_t comparisons = 0;
  std::string headline;
  std::optional<std::string> conditions;
  std::vector<std::string> notes;
  std::optional<double> residual_std, detectable_difference;
  std::optional<std::int64_t> seeds_for_a_hundredth;
  std::vector<VariantSummary> summary;
  std::vector<CellRecord> cells;
  std::vector<TuningRecord> tuning;
  std::optional<std::string> tuning_note;
  std::string config;
  std::vector<std::string> commands;
  std::optional<std::string> data_fingerprint, tokenizer_hash;
  Versions versions;

  static constexpr auto fields() {
    using config::field;
    using R = ResultsRecord;
    return std::tuple{
        field<&R::name>("run.name."),
        field<&R::metric>("log_perplexity or bits_per_byte."),
        field<&R::objective>("Type of the objective."),
        field<&R::equalize>("steps or time."),
        field<&R::baseline>("Settings of the variant that the others are compared with."),
        field<&R::seeds>("All that were asked for."),
        field<&R::seeds_compared>("Finished by every variant that is compared."),
        field<&R::comparisons>("Comparisons with the baseline: the number that p-values and intervals are adjusted for."),
        field<&R::headline>("The verdict, in words."),
        field<&R::conditions>("What the runs do not have in common, in words."),
        field<&R::notes>("The sentences of the report."),
        field<&R::residual_std>("Residual standard deviation of the model of variants and seeds."),
        field<&R::detectable_difference>("Smallest difference from the baseline that would be found in 80 of 100 comparisons."),
        field<&R::seeds_for_a_hundredth>("Seeds that a difference of 0.01 needs.", config::Key{"seeds_for_0.01"}),
        field<&R::summary>("A row for each variant, in the order asked for."),
        field<&R::cells>("Variants and seeds."),
        field<&R::tuning>("Every candidate that was tried."),
        field<&R::tuning_note>("What was tuned on which seeds."),
        field<&R::config>("The comparison's configuration, as YAML."),
        field<&R::commands>("How to do it again."),
        field<&R::data_fingerprint>("Null where variants do not share it."),
        field<&R::tokenizer_hash>("Likewise."),
        field<&R::versions>("What made it.")};
  }
};

}  // namespace sluice::report
