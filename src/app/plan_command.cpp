#include <cmath>
#include <iomanip>
#include <iostream>
#include <optional>
#include <variant>

#include "app/commands.h"
#include "app/outputs.h"
#include "base/log.h"
#include "base/text_format.h"
#include "nn/match_width.h"
#include "run/peak_rate.h"
#include "run/plan.h"
#include "train/batches.h"
#include "train/step_epochs.h"

namespace sluice::app {
namespace {

constexpr std::int64_t kMeasuredSteps = 5;

std::optional<std::int64_t> num_evaluations(const run::Plan& plan) {
  return plan.evaluations ? std::optional(plan.evaluations->count) : std::nullopt;
}

// Time of all evaluations.
std::optional<double> evaluation_s(const run::Plan& plan, const run::StepTiming& timing) {
  if (!plan.evaluations) return std::nullopt;
  return static_cast<double>(plan.evaluations->num_batches) * timing.evaluation_batch_s;
}

double steps_s(const run::Plan& plan, const run::StepTiming& timing) {
  return timing.seconds_per_step * static_cast<double>(plan.total_steps.value_or(0));
}

std::optional<double> total_s(const run::Plan& plan, const run::StepTiming& timing) {
  if (!plan.total_steps) return std::nullopt;
  return steps_s(plan, timing) + run::other_seconds(plan, timing);
}

PlanOutput output_of(const run::Plan& plan) {
  PlanOutput output{.sizes = variant_sizes(plan.sizes),
                    .num_non_embedding_parameters = plan.sizes.num_non_embedding_parameters,
                    .flops_formula = model::flops_formula(plan.run.config.model),
                    .vocab_size = plan.vocab_size,
                    .threads = plan.run.threads,
                    .tokens_per_step = plan.run.tokens_per_step(),
                    .tokens_per_epoch = plan.tokens_per_epoch,
                    .steps = plan.total_steps,
                    .memory_bytes = plan.memory_bytes,
                    .sharded_memory_bytes = plan.sharded_memory_bytes,
                    .micro_batch_sequences = plan.run.micro_batch_sequences,
                    .gpu_memory_bytes = plan.gpu_memory_bytes,
                    .checkpoint_bytes = plan.checkpoint_bytes,
                    .disk_bytes = plan.disk_bytes,
                    .is_prepared = plan.is_prepared,
                    .num_evaluations = num_evaluations(plan),
                    .num_saves = plan.num_saves};
  for (const model::Part& part : plan.sizes.parts)
    output.parts.push_back({part.name, part.num_parameters, part.flops_per_token});
  for (const run::MemoryPart& part : plan.memory) output.memory.emplace_back(part.name, part.bytes);
  for (const run::MemoryPart& part : plan.gpu_memory)
    output.gpu_memory.emplace_back(part.name, part.bytes);
  return output;
}

MeasuredPlanOutput output_of(const run::Plan& plan, const run::StepTiming& timing) {
  return {.plan = output_of(plan),
          .seconds_per_step = timing.seconds_per_step,
          .tokens_per_s = timing.tokens_per_s,
          .measured_peak_memory_bytes = timing.peak_memory_bytes,
          .measured_peak_gpu_memory_bytes = timing.peak_gpu_memory_bytes,
          .start_seconds = timing.start_s,
          .first_step_seconds = timing.first_step_s,
          .evaluation_seconds = evaluation_s(plan, timing),
          .checkpoint_seconds = timing.save_s,
          .other_seconds = run::other_seconds(plan, timing),
          .seconds = total_s(plan, timing)};
}

void row(const std::string& name, const std::string& value, const std::string& remark = "") {
  std::cout << std::left << std::setw(34) << name << std::right << std::setw(16) << value
            << (remark.empty() ? "" : "   ") << remark << "\n";
}

std::string count(std::uint64_t value) { return with_commas(static_cast<std::int64_t>(value)); }

std::string percent(double share) { return cat(share > 0 ? "+" : "", fixed(100 * share, 3), " %"); }

// What the time includes.
std::string time_remark(const run::Plan& plan, const run::StepTiming& timing) {
  std::string remark =
      cat(count_of(*plan.total_steps, "step"), " ", human_duration(steps_s(plan, timing)));
  if (plan.evaluations && plan.evaluations->count > 0)
    remark += cat(", ", count_of(plan.evaluations->count, "evaluation"), " ",
                  human_duration(*evaluation_s(plan, timing)));
  const double saves_s = timing.save_s * static_cast<double>(*plan.num_saves);
  remark += cat(", ", count_of(*plan.num_saves, "checkpoint"), " ", human_duration(saves_s),
                ", start ", human_duration(timing.start_s));
  return plan.is_prepared
             ? remark
             : remark + "; preparation and evaluations not included: the data is not prepared yet";
}

void print(const run::Plan& plan, const std::optional<run::StepTiming>& timing) {
  for (const model::Part& part : plan.sizes.parts)
    row("parameters, " + part.name, with_commas(part.num_parameters));
  row("num_parameters", with_commas(plan.sizes.num_parameters));
  row("num_non_embedding_parameters", with_commas(plan.sizes.num_non_embedding_parameters));
  const nn::WidthMatch width =
      std::visit([](const auto& model) { return model.resolved_d_ff(); }, plan.run.config.model);
  row("d_ff", with_commas(plan.sizes.d_ff),
      cat(percent(width.mismatch), " in parameters and ", percent(width.multiply_add_mismatch),
          " in multiply-adds, relative to the two-matrix layer of d_ff_reference"));
  row("multiply_adds_per_token", with_commas(std::llround(plan.sizes.multiply_adds_per_token())),
      plan.run.objective->shape().shared
          ? "forward pass"
          : "forward pass, per target token, including the encoder's work for its inputs");
  row("flops_per_token", with_commas(std::llround(plan.sizes.flops_per_token)),
      model::flops_formula(plan.run.config.model));
  row("threads", with_commas(plan.run.threads));
  row("tokens per step", with_commas(plan.run.tokens_per_step()));
  row("micro-batch", with_commas(plan.run.micro_batch_sequences), "sequences");
  row("tokens_per_epoch", plan.tokens_per_epoch ? count(*plan.tokens_per_epoch) : "unknown",
      plan.tokens_per_epoch ? "" : "the data is not prepared yet");
  row("steps", plan.total_steps ? with_commas(*plan.total_steps) : "unknown");
  for (const run::MemoryPart& part : plan.memory)
    row("memory, " + part.name, human_bytes(part.bytes));
  row("memory, estimated peak", human_bytes(plan.memory_bytes));
  if (plan.sharded_memory_bytes)
    row("memory, sharded parameters", human_bytes(*plan.sharded_memory_bytes),
        "estimated peak with distributed.shard: parameters");
  for (const run::MemoryPart& part : plan.gpu_memory)
    row("GPU memory, " + part.name, human_bytes(part.bytes));
  if (!plan.gpu_memory.empty())
    row("GPU memory, estimated peak", human_bytes(plan.gpu_memory_bytes));
  row("disk, one checkpoint", human_bytes(plan.checkpoint_bytes));
  row("disk, checkpoints at most", human_bytes(plan.disk_bytes));
  if (!timing) return;
  row("measured: seconds per step", fixed(timing->seconds_per_step, 3),
      cat(fixed(timing->tokens_per_s, 0), " tokens/s"));
  row("measured: peak memory", human_bytes(timing->peak_memory_bytes));
  if (timing->peak_gpu_memory_bytes)
    row("measured: peak GPU memory", human_bytes(*timing->peak_gpu_memory_bytes));
  if (plan.total_steps)
    row("time to train", human_duration(*total_s(plan, *timing)), time_remark(plan, *timing));
}

}  // namespace

std::string measured_plan_json(const ConfigOptions& options) {
  const run::Plan plan = run::make_plan(load_config(options), text::Notes::kLog, run::Probe::kRun);
  return config::to_json(output_of(plan, run::measure_steps(plan, kMeasuredSteps)));
}

void plan_command(const PlanOptions& options) {
  const std::int64_t num_steps = options.num_measured_steps > 0 ? options.num_measured_steps
                                 : options.measure              ? kMeasuredSteps
                                                                : 0;
  const run::Plan plan = run::make_plan(load_config(options.config), text::Notes::kLog,
                                        num_steps > 0 ? run::Probe::kRun : run::Probe::kPredict,
                                        options.num_processes);
  if (plan.tokens_per_epoch) {
    const auto length = static_cast<std::uint64_t>(plan.run.objective->shape().target_length);
    const std::string long_step = train::step_epochs_warning(plan.run.config.train.batch_sequences,
                                                             *plan.tokens_per_epoch / length);
    if (!long_step.empty()) log::warn(long_step);
  }
  if (const std::string unreached = plan.total_steps ? run::unreached_peak_warning(plan.run) : "";
      !unreached.empty())
    log::warn(unreached);
  std::optional<run::StepTiming> timing;
  if (num_steps > 0) timing = run::measure_steps(plan, num_steps);
  if (options.json) {
    std::cout << (timing ? config::to_json(output_of(plan, *timing))
                         : config::to_json(output_of(plan)));
  } else {
    print(plan, timing);
  }
}

}  // namespace sluice::app
