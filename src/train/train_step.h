// One optimizer step.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <limits>
#include <span>

#include "data/batch.h"
#include "model/language_model.h"
#include "optim/optimizer.h"
#include "train/gradient_sums.h"
#include "train/sharded_passes.h"
#include "train/shared_weights.h"

namespace sluice::train {

struct StepConfig {
  std::uint64_t seed = 1;  // of dropout
  std::uint64_t step = 0;  // number of finished steps; selects the dropout masks
  double lr = 0;
  double z_loss = 0;
  at::Device device = at::kCPU;
  gpu::Device* gpu = nullptr;  // see ops::Context
  ops::Form form = ops::Form::kFastest;
  ops::Reductions reductions = ops::Reductions::kFp32;
  bool deterministic = true;  // see ops::Context
  // See optim::Update.
  double loss_limit = std::numeric_limits<double>::infinity();
  double norm_limit = std::numeric_limits<double>::infinity();
  // The other processes of the run; nullptr: none.
  dist::Group* group = nullptr;
  bool stop = false;  // this process was asked to stop
};

// Device scalars, `applied` as bool or float64. Reading them synchronizes, so read late.
struct StepStats {
  at::Tensor loss;            // float64: nats per target token of the whole step, z-loss included
  at::Tensor log_perplexity;  // float64: its cross-entropy part
  at::Tensor grad_norm;       // float64
  at::Tensor applied;
  std::int64_t num_targets = 0;
  bool stop = false;  // any process was asked to stop
};

std::int64_t num_targets_of(std::span<const data::Batch> micro_batches);

// Sums over the micro-batches of a step.
struct LossSums {
  at::Tensor total{}, log_perplexity{};  // undefined: of no micro-batch
  void add(const model::Loss& loss);
  void add(const LossSums& other);
};

// What the processes of a run exchange in a step.
struct SharedState {
  GradientSums& gradients;
  SharedWeights& weights;
  ShardedPasses* passes = nullptr;  // if parameters are sharded, instead of `gradients`
};

// Runs forward and backward per micro-batch, with sums divided by the number of targets of the
// whole step, adds the gradients in the order of cluster/slots.h, then clips, checks and updates.
// kPeerLost naming the process whose weights have changed since the last update.
// `micro_batches`: of the whole step; each process of a group computes its slots.
StepStats train_step(model::LanguageModel& model, optim::Optimizer& optimizer,
                     const SharedState& shared, std::span<const data::Batch> micro_batches,
                     const StepConfig& config);

}  // namespace sluice::train
