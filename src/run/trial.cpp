#include "run/trial.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <string_view>
#include <utility>
#include <vector>

#include "base/random.h"
#include "base/signals.h"
#include "eval/feed.h"
#include "ops/device_memory.h"
#include "train/batches.h"
#include "train/execution.h"
#include "train/trainer.h"

namespace sluice::run {

Place place_of(const train::ResolvedRun& run) {
  const c10::Device device = train::device_of(run.device);
  return {device, ops::gpu_of(device), [device] { return ops::make_recorder(device); }};
}

data::Batch random_batch(const train::ResolvedRun& run, std::int64_t vocab_size,
                         std::uint64_t step) {
  const data::SequenceShape shape = run.objective->shape();
  data::Batch batch{.num_sequences = run.config.train.batch_sequences,
                    .input_length = shape.input_length,
                    .target_length = shape.target_length};
  const auto fill = [&](std::vector<std::int32_t>& ids, std::int64_t length,
                        std::string_view purpose) {
    const std::uint64_t key = random_key(1, purpose, {step});
    ids.resize(static_cast<std::size_t>(batch.num_sequences * length));
    for (std::size_t i = 0; i < ids.size(); ++i)
      ids[i] =
          static_cast<std::int32_t>(random_below(key, i, static_cast<std::uint64_t>(vocab_size)));
  };
  fill(batch.inputs, shape.input_length, "plan inputs");
  fill(batch.targets, shape.target_length, "plan targets");
  batch.num_targets = run.tokens_per_step();
  return batch;
}

Trial::Trial(const train::ResolvedRun& run, std::int64_t vocab_size, const Place& place,
             bool initialize)
    : scope_(place.device),
      place_(place),
      model_(model::make_model(run.config.model, vocab_size,
                               train::sequences_of(run.config, /*start=*/0))),
      config_(train::step_config_of(run.config, place.device)) {
  config_.gpu = place.gpu;
  config_.lr = 1e-5;
  model_->parameters().allocate(place.device, train::compute_type(run.precision),
                                /*with_gradients=*/true);
  if (initialize) model_->parameters().initialize(run.config.run.initial_values_seed());
  optimizer_ = optim::make_optimizer(run.config.optimizer, model_->parameters(), place.gpu);
  runner_ = std::make_unique<train::StepRunner>(*model_, *optimizer_, place.make_recorder);
}

void Trial::start_step(const std::vector<data::Batch>& micro_batches, std::uint64_t step) {
  config_.step = step;
  runner_->run(micro_batches, config_);
}

void Trial::wait() const { ops::synchronize(place_.device); }

void Trial::evaluate(const data::Batch& batch) const {
  const at::NoGradGuard no_grad;
  model_->target_nats(eval::to_device(batch, place_.device), {.gpu = place_.gpu})
      .sum()
      .item<double>();
}

bool fits(const train::ResolvedRun& run, std::int64_t vocab_size, const Place& place) {
  constexpr int kSteps = train::StepRunner::kPlainSteps + 2;  // one recorded, one repeated
  bool fit = true;
  try {
    Trial trial(run, vocab_size, place, /*initialize=*/false);
    // Micro-batches follow one another in the same memory: two, and the last, which may be smaller.
    std::vector<data::Batch> batches =
        random_batch(run, vocab_size, 0).split(run.micro_batch_sequences);
    if (batches.size() > 3) batches.erase(batches.begin() + 2, batches.end() - 1);
    for (int step = 0; step < kSteps; ++step) {
      throw_if_stopped("the search for train.micro_batch_sequences");
      trial.start_step(batches, static_cast<std::uint64_t>(step));
      trial.wait();
    }
    if (run.evaluate_every_steps > 0) trial.evaluate(batches.front());
  } catch (const std::exception& error) {
    if (!ops::find_out_of_memory(error)) throw;
    fit = false;
  }
  ops::release_cached_memory(place.device);
  return fit;
}

}  // namespace sluice::run
