// One optimizer step.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

#include "data/batch.h"
#include "model/language_model.h"
#include "optim/optimizer.h"

namespace sluice::train {

struct StepConfig {
  std::uint64_t seed = 1;  // of dropout
  std::uint64_t step = 0;  // finished steps before this one: names the dropout masks
  double lr = 0;
  double z_loss = 0;
  at::Device device = at::kCPU;
  ops::Form form = ops::Form::kFastest;
  ops::Reductions reductions = ops::Reductions::kFp32;
  at::Tensor loss_limit{}, norm_limit{};  // see optim::Update
};

// Device values: whoever reads them late makes nobody wait.
struct StepStats {
  at::Tensor loss;            // float64: nats per target token of the whole step, z-loss included
  at::Tensor log_perplexity;  // float64: its cross-entropy part
  at::Tensor grad_norm;       // float64
  at::Tensor applied;         // bool
  std::int64_t num_targets = 0;
};

// Forward and backward per micro-batch, every sum divided by the targets of the whole step, then clip, check and update.
StepStats train_step(model::LanguageModel& model, optim::Optimizer& optimizer, std::span<const data::Batch> micro_batches,
                     const StepConfig& config);

}  // namespace sluice::train
