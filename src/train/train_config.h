// Sections `run`, `train` and `evaluate`.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/field.h"
#include "data/splits.h"
#include "ops/context.h"

namespace sluice::train {

enum class Precision { kFp32, kBf16 };
constexpr auto names_of(Precision) {
  return std::array{std::pair{Precision::kFp32, std::string_view("fp32")},
                    std::pair{Precision::kBf16, std::string_view("bf16")}};
}

enum class Reproducible { kMachine, kPortable };
constexpr auto names_of(Reproducible) {
  return std::array{std::pair{Reproducible::kMachine, std::string_view("machine")},
                    std::pair{Reproducible::kPortable, std::string_view("portable")}};
}

enum class DivergencePolicy { kHalt, kSkip, kRollback };
constexpr auto names_of(DivergencePolicy) {
  return std::array{std::pair{DivergencePolicy::kHalt, std::string_view("halt")},
                    std::pair{DivergencePolicy::kSkip, std::string_view("skip")},
                    std::pair{DivergencePolicy::kRollback, std::string_view("rollback")}};
}

// The splits that may be evaluated.
enum class Split {
  kValid = static_cast<int>(data::Split::kValid),
  kTune = static_cast<int>(data::Split::kTune)
};
constexpr data::Split split_of(Split split) { return static_cast<data::Split>(split); }
constexpr auto names_of(Split) {
  return std::array{std::pair{Split::kValid, data::split_name(data::Split::kValid)},
                    std::pair{Split::kTune, data::split_name(data::Split::kTune)}};
}

// The streams of random numbers of a run, each with its own seed, to vary one at a time.
struct StreamSeeds {
  config::WordOr<"seed", std::uint64_t> initial_values, data_order, dropout_masks;
  static constexpr auto fields() {
    using config::field;
    using C = StreamSeeds;
    return std::tuple{
        field<&C::initial_values>("Of the initial weights."),
        field<&C::data_order>("Of the order of training windows and of masked spans."),
        field<&C::dropout_masks>("Of the dropout masks.")};
  }
};

struct RunSection {
  std::string name = "run";
  std::string dir = "runs/run";
  std::uint64_t seed = 1;
  StreamSeeds seeds;
  std::uint64_t initial_values_seed() const { return seeds.initial_values.value_or(seed); }
  std::uint64_t data_seed() const { return seeds.data_order.value_or(seed); }
  std::uint64_t dropout_seed() const { return seeds.dropout_masks.value_or(seed); }
  static constexpr auto fields() {
    using config::field;
    using C = RunSection;
    return std::tuple{field<&C::name>("Shown in logs and reports.", config::Affects::kLabel),
                      field<&C::dir>("Run directory, in UTF-8.", config::NonEmpty{},
                                     config::Affects::kPlace, config::Path{}),
                      field<&C::seed>("Determines initial weights, order of training windows and "
                                      "dropout, but not split, tokenizer or evaluation.",
                                      config::Affects::kShared),
                      field<&C::seeds>("Seeds of single streams of random numbers instead of "
                                       "`seed`, as `sluice compare --noise` uses them.")};
  }
};

struct DivergenceConfig {
  DivergencePolicy policy = DivergencePolicy::kHalt;
  double spike_factor = 0;
  std::int64_t max_events = 10;
  static constexpr auto fields() {
    using config::field;
    using C = DivergenceConfig;
    return std::tuple{
        field<&C::policy>(
            "After a NaN, an Inf or a spike (such a step never changes the weights): `halt` stops "
            "with exit code 77, `skip` continues with the next batch, `rollback` restores the last "
            "checkpoint and skips the data since then."),
        field<&C::spike_factor>("A loss or gradient norm above this multiple of its running mean "
                                "is a spike; 0: only NaN and Inf count.",
                                config::NonNegative{}),
        field<&C::max_events>("`skip` and `rollback` halt after this many events.",
                              config::Positive{})};
  }
};

struct TrainConfig {
  std::optional<std::int64_t> steps;
  std::optional<std::int64_t> tokens;
  std::optional<double> epochs;
  std::int64_t batch_sequences = 16;
  config::Auto<std::int64_t> sequence_length;
  config::Auto<std::int64_t> micro_batch_sequences;
  config::Auto<Precision> precision;
  ops::Reductions reductions = ops::Reductions::kFp32;
  config::Auto<std::string> device;
  bool deterministic = true;
  Reproducible reproducible = Reproducible::kMachine;
  config::Auto<std::int64_t> threads;
  double z_loss = 0;
  DivergenceConfig divergence;
  config::Seconds log_interval{10};
  config::Auto<bool> tensorboard;

  static constexpr auto fields() {
    using config::field;
    using C = TrainConfig;
    return std::tuple{
        field<&C::steps>("Optimizer steps. Give exactly one of steps, tokens, epochs. A resume may "
                         "increase it, but not below the finished steps.",
                         config::Positive{}, config::Affects::kFuture),
        field<&C::tokens>("Target tokens to train on, rounded up to whole steps.",
                          config::Positive{}, config::Affects::kFuture),
        field<&C::epochs>("Passes over the training windows, rounded up to whole steps.",
                          config::Positive{}, config::Affects::kFuture),
        field<&C::batch_sequences>("Sequences per optimizer step.", config::Positive{}),
        field<&C::sequence_length>(
            "Tokens of text per sequence. `auto`: 256, or the length of raw segments for "
            "objective.input_length with `objective: {type: span_corruption}`, which accepts no "
            "other value.",
            config::AtLeast{2}),
        field<&C::micro_batch_sequences>(
            "Sequences per forward and backward pass; `auto`: as many as fit the caches of a CPU "
            "or the memory of a GPU. It affects the loss only by rounding.",
            config::Positive{}, config::Affects::kExecution),
        field<&C::precision>("`bf16`: products in bfloat16, master weights, norms, softmax and "
                             "loss in fp32. `auto`: bf16 if the hardware supports it (AMX, "
                             "AVX512-BF16, GPU), otherwise fp32.",
                             config::Affects::kArithmetic),
        field<&C::reductions>("Type of norm statistics, softmax and loss in training: fp32, or the "
                              "type of the products (`compute`), which uses the slower reference "
                              "kernels; for ablations. Evaluation always uses fp32."),
        field<&C::device>("`cpu`, `cuda` or `cuda:N`; `auto`: a GPU if available.",
                          config::Affects::kExecution),
        field<&C::deterministic>(
            "Two runs on the same GPU and software give the same bits; `false`: attention's "
            "backward pass is faster and its sums vary from run to run. On a CPU runs always "
            "repeat.",
            config::Affects::kExecution),
        field<&C::reproducible>(
            "Where the run has the same bits: `machine`: on processors with the same features, "
            "with the same number of threads; `portable`: on every processor with AVX2 and FMA, "
            "with any number of threads, at a cost in speed (docs/portable.md). CPUs only.",
            config::Affects::kArithmetic),
        field<&C::threads>("CPU threads; `auto`: OMP_NUM_THREADS if set, otherwise the processors "
                           "available to this process. `sluice compare` divides them among its "
                           "jobs.",
                           config::Between{1, 1024}, config::Affects::kExecution),
        field<&C::z_loss>("Coefficient of (log Z)² in the training loss, with Z the denominator of "
                          "the softmax (T5: 1e-4). Included in `loss`, not in `log_perplexity`.",
                          config::NonNegative{}),
        field<&C::divergence>("What to do when training diverges.", config::Affects::kFuture),
        field<&C::log_interval>("Time between progress lines if the console is not a terminal.",
                                config::Affects::kCadence),
        field<&C::tensorboard>(
            "Whether the run directory also has an event file for TensorBoard. `auto`: yes, except "
            "for the runs of a comparison, whose report has the curves.",
            config::Affects::kCadence)};
  }
  static void check(const TrainConfig& c, config::Problems& problems);
};

// Texts that show what the model writes.
struct SamplesConfig {
  std::vector<std::string> prompts;
  std::int64_t tokens = 48;
  double temperature = 0.8;
  static constexpr auto fields() {
    using config::field;
    using C = SamplesConfig;
    return std::tuple{
        field<&C::prompts>("Texts that the model continues, or whose blanks it fills, after every "
                           "evaluation. Shown by `sluice report` and TensorBoard.",
                           config::Affects::kCadence),
        field<&C::tokens>("Length of each sample.", config::Between{1, 4096},
                          config::Affects::kCadence),
        field<&C::temperature>("0: the most likely tokens. Otherwise all evaluations use the same "
                               "random numbers, derived from `run.seed`.",
                               config::NonNegative{}, config::Affects::kCadence)};
  }
};

struct EvaluateConfig {
  Split split = Split::kValid;
  config::WordOr<"never", std::int64_t> every_steps{100};
  config::WordOr<"all", std::int64_t> max_tokens;
  config::WordOr<"all", std::int64_t> final_max_tokens;
  SamplesConfig samples;
  static constexpr auto fields() {
    using config::field;
    using C = EvaluateConfig;
    return std::tuple{
        field<&C::split>("`valid`: the held-out text. `tune`: the text of corpus.tune_holdout, for "
                         "choosing settings.",
                         config::Affects::kFigures),
        field<&C::every_steps>(
            "Steps between evaluations. Unless `never`, there is also one before the first and "
            "after the last step.",
            config::Positive{}),
        field<&C::max_tokens>(
            "Held-out tokens of the periodic evaluations, evenly spaced; `all`: the whole set.",
            config::Positive{}),
        field<&C::final_max_tokens>("Held-out tokens of the evaluation after the last step.",
                                    config::Positive{}, config::Affects::kFigures),
        field<&C::samples>("Texts written after every evaluation.")};
  }
};

}  // namespace sluice::train
