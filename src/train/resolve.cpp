#include "train/resolve.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/text_format.h"
#include "config/decide.h"
#include "train/batches.h"
#include "train/execution.h"

namespace sluice::train {
namespace {

// More tokens per pass are not faster: activations no longer fit the caches, and memory grows.
constexpr std::int64_t kMicroBatchTokens = 4096;

using config::decide, config::member_of;

std::int64_t steps_of(const RunConfig& config, std::uint64_t windows_per_epoch) {
  const TrainConfig& c = config.train;
  if (c.steps) return *c.steps;
  const double exact =
      c.tokens
          ? static_cast<double>(*c.tokens) /
                static_cast<double>(c.batch_sequences * objective_of(config)->shape().target_length)
          : *c.epochs * static_cast<double>(windows_per_epoch) /
                static_cast<double>(c.batch_sequences);
  // 1.1 epochs of 3,120 windows are 3,432 steps, but slightly more in double arithmetic.
  const double steps = std::ceil(exact * (1 - 1e-12));
  constexpr double kMost = 1e12;
  if (!(steps <= kMost))
    fail(ExitCode::kUsage, c.tokens ? "train.tokens" : "train.epochs",
         cat(shortest(steps), " steps"), "at most 1e12 steps");
  return std::max<std::int64_t>(static_cast<std::int64_t>(steps), 1);
}

}  // namespace

std::int64_t choose_micro_batch(std::int64_t batch_sequences, std::int64_t sequence_work) {
  const std::int64_t most =
      std::clamp<std::int64_t>(kMicroBatchTokens / sequence_work, 1, batch_sequences);
  const std::int64_t num_passes = (batch_sequences + most - 1) / most;
  return (batch_sequences + num_passes - 1) / num_passes;
}

ResolvedRun read_resolved(RunConfig config) {
  const TrainConfig& c = config.train;
  const bool decided = c.steps && c.micro_batch_sequences.value && c.threads.value &&
                       c.precision.value && c.device.value;
  require(decided, ExitCode::kBadData, "configuration", "`auto` in section train",
          "a resolved configuration, as written by a run");
  const auto tokens_of = [](const config::WordOr<"all", std::int64_t>& limit) {
    return static_cast<std::uint64_t>(limit.value_or(0));
  };
  ResolvedRun run{.objective = objective_of(config),
                  .steps = *c.steps,
                  .micro_batch_sequences = *c.micro_batch_sequences,
                  .threads = *c.threads,
                  .precision = *c.precision,
                  .device = *c.device,
                  .evaluate_every_steps = config.evaluate.every_steps.value_or(0),
                  .evaluation_tokens = tokens_of(config.evaluate.max_tokens),
                  .final_evaluation_tokens = tokens_of(config.evaluate.final_max_tokens)};
  run.config = std::move(config);
  return run;
}

ResolvedRun resolve(RunConfig config, const DataFacts& facts, const RunConfig* stored,
                    const MicroBatchRule& micro_batch_rule) {
  TrainConfig& c = config.train;
  const TrainConfig* stored_train = stored != nullptr ? &stored->train : nullptr;
  c.steps = steps_of(config, facts.windows_per_epoch);
  c.tokens.reset();
  c.epochs.reset();
  if (const auto found = find_short_schedule(config, *c.steps))
    fail(ExitCode::kUsage, "schedule.total_steps", cat(found->total_steps), found->expected);
  c.sequence_length = sequence_length(config);
  c.threads = resolve_threads(c, stored);
  c.device = resolve_device(c, stored);
  c.precision = resolve_precision(c, stored);
  decide(c.tensorboard, member_of(stored_train, &TrainConfig::tensorboard), [] { return true; });
  model::resolve(config.model, member_of(stored, &RunConfig::model),
                 {.vocab_size = facts.vocab_size, .sequence_length = *c.sequence_length});
  decide(c.micro_batch_sequences, member_of(stored_train, &TrainConfig::micro_batch_sequences),
         [&] {
           return micro_batch_rule
                      ? micro_batch_rule(config)
                      : choose_micro_batch(c.batch_sequences, sequence_shape(config).work());
         });
  decide(
      config.distributed.reduction,
      member_of(member_of(stored, &RunConfig::distributed), &cluster::DistributedConfig::reduction),
      [&] { return *c.device == "cpu" ? cluster::Reduction::kExact : cluster::Reduction::kFast; });
  require(*c.device == "cpu" || *config.distributed.reduction == cluster::Reduction::kFast,
          ExitCode::kUsage, "distributed.reduction", "exact", cat("fast on ", *c.device));
  return read_resolved(std::move(config));
}

}  // namespace sluice::train
