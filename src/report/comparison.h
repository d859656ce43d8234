// The data of a comparison: collected from run directories by compare/, turned into tables and a
// page by report/. It contains no statistics; those are computed from the cells (stats/).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "config/field.h"
#include "stats/held_out_error.h"
#include "stats/looks.h"

namespace sluice::report {

// Values of the varied keys, in the order of `compare.vary`: {"model.ffn", "geglu"}.
using Settings = std::vector<std::pair<std::string, std::string>>;
std::string label_of(const Settings& settings);  // "geglu"; "geglu, 3e-3" if several keys vary

// The metric that is compared.
enum class Metric { kLogPerplexity, kBitsPerByte };
constexpr auto names_of(Metric) {
  return std::array{std::pair{Metric::kLogPerplexity, std::string_view("log_perplexity")},
                    std::pair{Metric::kBitsPerByte, std::string_view("bits_per_byte")}};
}

// The training budget that all variants have in common.
enum class Equalize { kSteps, kTime };
constexpr auto names_of(Equalize) {
  return std::array{std::pair{Equalize::kSteps, std::string_view("steps")},
                    std::pair{Equalize::kTime, std::string_view("time")}};
}

// Reports treat a started cell as waiting.
enum class CellState { kWaiting, kStarted, kFinished, kDiverged, kFailed };
constexpr auto names_of(CellState) {
  using enum CellState;
  using Name = std::pair<CellState, std::string_view>;
  return std::array{Name{kWaiting, "waiting"}, Name{kStarted, "started"},
                    Name{kFinished, "finished"}, Name{kDiverged, "diverged"},
                    Name{kFailed, "failed"}};
}

// The run has a result. A failed one is repeated.
constexpr bool has_ended(CellState state) {
  return state == CellState::kFinished || state == CellState::kDiverged;
}

// Execution environment of a run. Each member affects the order of some floating-point sum.
struct ExecutionEnv {
  std::string cpu, device, precision;
  std::int64_t threads = 0, micro_batch_sequences = 0;
  bool repeatable = true;
  std::string gpu;        // its name; empty on a CPU
  bool portable = false;  // the same bits with any processor and number of threads
  friend bool operator==(const ExecutionEnv&, const ExecutionEnv&) = default;

  static constexpr auto fields() {
    using config::field;
    using E = ExecutionEnv;
    return std::tuple{field<&E::cpu>("Processor model."),
                      field<&E::device>("cpu or cuda."),
                      field<&E::precision>("fp32 or bf16."),
                      field<&E::threads>("Threads."),
                      field<&E::micro_batch_sequences>("Sequences in a micro-batch; 0: unknown.",
                                                       config::MayBeMissing{}),
                      field<&E::repeatable>("False on a GPU with `train.deterministic: false`.",
                                            config::MayBeMissing{}),
                      field<&E::gpu>("Name of the GPU; empty on a CPU.", config::MayBeMissing{}),
                      field<&E::portable>("True with `train.reproducible: portable`: processor and "
                                          "threads do not affect the result.",
                                          config::MayBeMissing{})};
  }
};

// One point of a curve. Comparisons in the middle of a curve are approximate because the learning
// rate has not decayed.
struct CurvePoint {
  std::int64_t step = 0;
  double log_perplexity = 0;
  double seconds = 0;  // of training so far
  // number of held-out target tokens averaged; 0: unknown
  std::uint64_t num_tokens = 0;
};

using stats::DocumentLoss;  // held-out cross-entropy of one document under one cell

// The outcome of one cell (one run of the grid).
struct CellResult {
  Settings settings;
  std::uint64_t seed = 0;
  CellState state = CellState::kWaiting;
  std::string remark;                    // reason for failure or divergence, one line
  std::optional<double> log_perplexity;  // held-out, after the last step; finished cells only
  std::optional<double> bits_per_byte;
  // of a uniform guess over the vocabulary; this and the next are missing for runs of earlier
  // versions
  std::optional<double> uniform_log_perplexity;
  std::optional<bool> learned_nothing;  // store/run_result.h
  // the same documents in the same order in every cell
  std::vector<DocumentLoss> documents;
  std::int64_t steps = 0;
  std::uint64_t tokens = 0;  // target tokens trained on
  double training_seconds = 0;
  std::vector<CurvePoint> training, held_out;  // thinned to a few hundred points
  std::string hash;                            // of everything that determines the result
  ExecutionEnv env;
  std::string build, libtorch;
  std::string plan;        // compare/plan_text.h; empty if unknown
  std::string directory;   // run directory, relative to the comparison's directory
  std::string seal_lines;  // compare/seal.h; empty if not sealed
};

// Size and cost of a variant's model; see model::ModelSizes.
struct VariantSizes {
  std::int64_t num_parameters = 0, d_ff = 0;
  double d_ff_mismatch = 0;
  double multiply_adds_per_token = 0, flops_per_token = 0;

  static constexpr auto fields() {
    using config::field;
    using S = VariantSizes;
    return std::tuple{
        field<&S::num_parameters>("Parameters of the model; tied ones count once."),
        field<&S::d_ff>("Width of the feed-forward layer."),
        field<&S::d_ff_mismatch>(
            "Relative difference between its parameters and those of the reference layer."),
        field<&S::multiply_adds_per_token>("Multiply-adds of the forward pass, per target token."),
        field<&S::flops_per_token>("FLOPs of training, per target token.")};
  }
};

// Properties common to all seeds of a variant.
struct Variant {
  Settings settings;
  VariantSizes sizes;
  // values chosen on the tuning split: {"optimizer.lr", "3e-3"}; empty without tuning and if groups
  // of seeds are tuned separately
  Settings tuned;

  static constexpr auto fields() {
    using config::field;
    using V = Variant;
    return std::tuple{field<&V::settings>("Values of the varied keys."),
                      config::rows_of<&V::sizes>(),
                      field<&V::tuned>("Values chosen by compare.tune; empty without it and with "
                                       "compare.tune.repeat, see `tuning`.")};
  }
};

// Result of one candidate of compare.tune on the tuning split.
struct TuningPoint {
  Settings settings;                   // of the variant
  Settings candidate;                  // {"optimizer.lr", "3e-3"}
  std::uint64_t group = 0;             // of seeds (compare.tune.repeat)
  std::vector<double> log_perplexity;  // one per tuning seed, whatever the metric
  std::string remark;                  // reason for divergence or failure; else empty
  bool diverged = false;
  bool learned_nothing = false;  // at least one of its runs did not learn
  bool chosen = false;

  static constexpr auto fields() {
    using config::field, config::MayBeMissing;
    using P = TuningPoint;
    return std::tuple{
        field<&P::settings>("Values of the varied keys."),
        field<&P::candidate>("Candidate values."),
        field<&P::group>("Index of the group of seeds that it was tried for.", MayBeMissing{}),
        field<&P::log_perplexity>("On the tuning split, one per tuning seed."),
        field<&P::remark>("Reason for a missing result; else empty."),
        field<&P::diverged>("Whether any of its runs diverged.", MayBeMissing{}),
        field<&P::learned_nothing>("Whether any of its runs did not learn.", MayBeMissing{}),
        field<&P::chosen>("Whether it was chosen for the variant.")};
  }
};

// The part of a comparison that is stored in comparison.json.
struct ComparisonInfo {
  std::string name;
  Metric metric = Metric::kLogPerplexity;
  std::optional<std::int64_t> average_last;
  Equalize equalize = Equalize::kSteps;
  std::string objective;  // "causal_lm", "span_corruption"
  std::vector<std::uint64_t> seeds;
  std::uint64_t baseline = 0;
  std::string tuning_note, tuning_plan;
  std::string config;
  std::vector<std::string> commands;
  std::string data_fingerprint, tokenizer_hash;
  std::vector<TuningPoint> tuning;
  std::uint64_t seed_groups = 1;  // compare.tune.repeat
  // Of the verdict, fixed before the first result; see stats::Plan.
  std::vector<std::int64_t> looks;
  stats::Spending spending = stats::Spending::kObrienFleming;
  std::optional<double> margin;
  std::vector<std::string> plan_changes;  // that void the error rate

  static constexpr auto fields() {
    using config::field, config::MayBeMissing;
    using C = ComparisonInfo;
    return std::tuple{
        field<&C::name>("run.name."),
        field<&C::metric>("Metric that is compared."),
        field<&C::average_last>("Number of last evaluations whose mean it is; missing: only the "
                                "last one.",
                                config::MayBeMissing{}),
        field<&C::equalize>("Training budget that all variants have in common: steps or time."),
        field<&C::objective>("Type of the objective."),
        field<&C::seeds>("All requested seeds."),
        field<&C::baseline>("Index of the baseline in `variants`."),
        field<&C::tuning_note>("Tuned keys and tuning seeds, as text."),
        field<&C::tuning_plan>("Keys, values and seeds of compare.tune; empty without it.",
                               MayBeMissing{}),
        field<&C::config>("The comparison's configuration, as YAML."),
        field<&C::commands>("Commands that reproduce the comparison."),
        field<&C::data_fingerprint>("Empty if the variants use different data."),
        field<&C::tokenizer_hash>("Empty if the variants use different tokenizers."),
        field<&C::tuning>("Results of all tuning candidates."),
        field<&C::seed_groups>("Number of groups into which the seeds are divided, in order; each "
                               "was tuned separately.",
                               MayBeMissing{}),
        field<&C::looks>("Numbers of seeds at which one may judge; empty: only at the end.",
                         MayBeMissing{}),
        field<&C::spending>("How the level is divided among the looks.", MayBeMissing{}),
        field<&C::margin>("Differences below it are practically 0; null: no such claim.",
                          MayBeMissing{}),
        field<&C::plan_changes>("Changes of the plan after results were known, as text.",
                                MayBeMissing{})};
  }
};

struct Comparison : ComparisonInfo {
  std::string objective_title;   // "next token"
  bool targets_are_text = true;  // every text token is a target
  std::vector<Variant> variants;
  std::vector<CellResult> cells;  // variants × seeds, including waiting ones
  std::string version;            // of the program that writes the report
  // earlier plans of runs that could not give a verdict and were extended: "seeds [1, 2]"
  std::vector<std::string> extended_plans;
  // compare/seal.h: seal.txt and its SHA-256, empty if no cell is sealed; ended cells without seal
  std::string seal_text, seal;
  std::size_t num_unsealed = 0;
};

// The metric of a finished cell; nullopt if it is missing or not finite.
std::optional<double> metric_value(const Comparison& comparison, const CellResult& cell);
bool did_not_learn(const CellResult& cell);
std::string metric_title(const Comparison& comparison);  // "log-perplexity", "bits per byte"
// "nats per target token", "bits per byte"
std::string_view metric_unit(const Comparison& comparison);

}  // namespace sluice::report
