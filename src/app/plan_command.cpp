#include <cmath>
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "app/commands.h"
#include "app/json.h"
#include "base/log.h"
#include "base/text_format.h"
#include "train/batches.h"
#include "train/plan.h"
#include "train/step_epochs.h"

namespace sluice::app {
namespace {

constexpr std::int64_t kMeasuredSteps = 5;

nlohmann::ordered_json to_json(const train::Plan& plan, const std::optional<train::StepTiming>& timing) {
  nlohmann::ordered_json parts = nlohmann::ordered_json::array(), memory;
  for (const model::Part& part : plan.sizes.parts) {
    parts.push_back({{"name", part.name}, {"num_parameters", part.num_parameters}, {"flops_per_token", part.flops_per_token}});
  }
  for (const train::MemoryPart& part : plan.memory) memory[part.name] = part.bytes;
  nlohmann::ordered_json json = {{"num_parameters", plan.sizes.num_parameters},
                                 {"num_non_embedding_parameters", plan.sizes.num_non_embedding_parameters},
                                 {"multiply_adds_per_token", plan.sizes.multiply_adds_per_token()},
                                 {"flops_per_token", static_cast<std::int64_t>(plan.sizes.flops_per_token)},
                                 {"flops_formula", model::flops_formula(plan.config.model)},
                                 {"d_ff", plan.sizes.d_ff},
                                 {"d_ff_mismatch", plan.sizes.d_ff_mismatch},
                                 {"vocab_size", plan.vocab_size},
                                 {"parts", parts},
                                 {"tokens_per_step", plan.tokens_per_step},
                                 {"tokens_per_epoch", or_null(plan.tokens_per_epoch)},
                                 {"steps", or_null(plan.total_steps)},
                                 {"memory_bytes", plan.memory_bytes},
                                 {"memory", memory},
                                 {"checkpoint_bytes", plan.checkpoint_bytes},
                                 {"disk_bytes", plan.disk_bytes}};
  if (timing) {
    json["seconds_per_step"] = timing->seconds_per_step;
    json["tokens_per_s"] = timing->tokens_per_s;
    json["measured_peak_memory_bytes"] = timing->peak_memory_bytes;
  }
  return json;
}

void row(const std::string& name, const std::string& value, const std::string& remark = "") {
  std::cout << std::left << std::setw(34) << name << std::right << std::setw(16) << value << (remark.empty() ? "" : "   ") << remark
            << "\n";
}

// Inputs that are not the targets' own positions: an encoder-decoder's.
bool reads_apart(const train::RunConfig& config) { return !train::sequence_shape(config).shared; }

std::string count(std::uint64_t value) { return with_commas(static_cast<std::int64_t>(value)); }

void print(const train::Plan& plan, const std::optional<train::StepTiming>& timing) {
  for (const model::Part& part : plan.sizes.parts) row("parameters, " + part.name, with_commas(part.num_parameters));
  row("num_parameters", with_commas(plan.sizes.num_parameters));
  row("num_non_embedding_parameters", with_commas(plan.sizes.num_non_embedding_parameters));
  row("d_ff", with_commas(plan.sizes.d_ff),
      cat(fixed(100 * plan.sizes.d_ff_mismatch, 3), " % more parameters than the two-matrix layer of d_ff_reference"));
  row("multiply_adds_per_token", with_commas(std::llround(plan.sizes.multiply_adds_per_token())),
      reads_apart(plan.config) ? "of the forward pass, per target token, the encoder's work for its inputs included"
                               : "of the forward pass");
  row("flops_per_token", with_commas(static_cast<std::int64_t>(plan.sizes.flops_per_token)), model::flops_formula(plan.config.model));
  row("tokens per step", with_commas(plan.tokens_per_step));
  row("tokens_per_epoch", plan.tokens_per_epoch ? count(*plan.tokens_per_epoch) : "unknown",
      plan.tokens_per_epoch ? "" : "the data is not prepared yet");
  row("steps", plan.total_steps ? with_commas(*plan.total_steps) : "unknown");
  for (const train::MemoryPart& part : plan.memory) row("memory, " + part.name, human_bytes(part.bytes));
  row("memory, estimated peak", human_bytes(plan.memory_bytes));
  row("disk, one checkpoint", human_bytes(plan.checkpoint_bytes));
  row("disk, checkpoints at most", human_bytes(plan.disk_bytes));
  if (!timing) return;
  row("measured: seconds per step", fixed(timing->seconds_per_step, 3), cat(fixed(timing->tokens_per_s, 0), " tokens/s"));
  row("measured: peak memory", human_bytes(timing->peak_memory_bytes));
  if (plan.total_steps)
    row("time to train", human_duration(timing->seconds_per_step * static_cast<double>(*plan.total_steps)),
        "evaluations and checkpoints not counted");
}

}  // namespace

void plan_command(const PlanOptions& options) {
  const train::Plan plan = train::make_plan(load_config(options.config));
  if (plan.tokens_per_epoch) {
    const auto length = static_cast<std::uint64_t>(train::sequence_shape(plan.config).target_length);
    const std::string long_step = train::step_epochs_warning(plan.config.train.batch_sequences, *plan.tokens_per_epoch / length);
    if (!long_step.empty()) log::warn(long_step);
  }
  std::optional<train::StepTiming> timing;
  if (options.measure) timing = train::measure_steps(plan, kMeasuredSteps);
  if (options.json) {
    std::cout << to_json(plan, timing).dump() << "\n";
  } else {
    print(plan, timing);
  }
}

}  // namespace sluice::app
