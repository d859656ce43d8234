// The lines of RUN/metrics.jsonl.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "config/record.h"
#include "store/held_out_figures.h"

namespace sluice::train {

struct StepTime {
  double seconds = 0, step_seconds = 0, tokens_per_s = 0;
  std::optional<double> mfu, mfu_denominator;
  std::optional<std::uint64_t> resident_bytes;

  static constexpr auto fields() {
    using config::field;
    return std::tuple{
        field<&StepTime::seconds>("Since this process started training."),
        field<&StepTime::step_seconds>(
            "Duration of this step, without evaluations and saves. On a GPU the "
            "time of up to 8 steps, until their values are read, is shared equally among them."),
        field<&StepTime::tokens_per_s>("Target tokens per second of this step."),
        field<&StepTime::mfu>(
            "Model FLOPs utilization: FLOPs per second as a fraction of `mfu_denominator`."),
        field<&StepTime::mfu_denominator>(
            "FLOPs per second of matrix products on this device, in the run's precision, "
            "measured at the start; docs/metrics.md names the product."),
        field<&StepTime::resident_bytes>("Main memory of this process when the line was written.",
                                         config::MayBeMissing{})};
  }
};

struct StepLine {
  static constexpr config::RecordFormat record{
      .name = "metrics-step",
      .place = "RUN/metrics.jsonl, a line for each step",
      .summary = "Metrics of a step. All but `time` is bit-identical after a resume.",
      .expected = "a line as written by `sluice train`",
      .indent = -1};
  std::int64_t step = 0;
  std::uint64_t tokens = 0;
  double loss = 0, log_perplexity = 0, perplexity = 0, grad_norm = 0, lr = 0;
  StepTime time;

  static constexpr auto fields() {
    using config::field;
    using L = StepLine;
    return std::tuple{
        field<&L::step>("Finished optimizer steps."),
        field<&L::tokens>("Target tokens trained on so far."),
        field<&L::loss>(
            "Mean over the step's target tokens of the training loss, in nats, before the update."),
        field<&L::log_perplexity>("The cross-entropy part of the loss, in nats per target token."),
        field<&L::perplexity>("The exponential of `log_perplexity`."),
        field<&L::grad_norm>("Global L2 norm of the gradient before clipping."),
        field<&L::lr>("Learning rate of the update."),
        field<&L::time>("Clock readings.")};
  }
};

struct EvaluationFigures {
  store::HeldOutFigures figures;
  std::uint64_t num_tokens = 0;
  std::optional<std::uint64_t> num_dropped_tokens;

  static constexpr auto fields() {
    return std::tuple{
        config::rows_of<&EvaluationFigures::figures>(),
        config::field<&EvaluationFigures::num_tokens>("Held-out targets scored."),
        config::field<&EvaluationFigures::num_dropped_tokens>(
            "Tokens at the end of the set that do not fill a segment.", config::MayBeMissing{})};
  }
};

struct SampleText {
  std::string prompt, text;
  static constexpr auto fields() {
    return std::tuple{
        config::field<&SampleText::prompt>("The prompt."),
        config::field<&SampleText::text>("What the model wrote: the continuation, or the prompt "
                                         "with its blanks filled; NUL as U+FFFD.")};
  }
};

struct EvaluationLine {
  static constexpr config::RecordFormat record{
      .name = "metrics-evaluation",
      .place = "RUN/metrics.jsonl, a line for each evaluation",
      .summary = "Held-out figures after a step.",
      .expected = "a line as written by `sluice train`",
      .indent = -1};
  std::int64_t step = 0;
  EvaluationFigures eval;
  std::optional<std::vector<SampleText>> samples;

  static constexpr auto fields() {
    return std::tuple{config::field<&EvaluationLine::step>("Finished optimizer steps."),
                      config::field<&EvaluationLine::eval>("The figures."),
                      config::field<&EvaluationLine::samples>(
                          "One object per prompt of `evaluate.samples`; missing without prompts.",
                          config::MayBeMissing{})};
  }
};

}  // namespace sluice::train
