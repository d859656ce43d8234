// Optimizers over the parameter arena.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ops/parameters.h"
#include "optim/optimizer_config.h"

namespace sluice::optim {

// What one update is told. Tensors are scalars on the device; nothing here makes the host wait.
struct Update {
  double lr = 0;                          // already scheduled
  at::Tensor loss{};                      // float64: mean loss of the step
  at::Tensor loss_limit{}, norm_limit{};  // float64: above these it is a spike; +inf for no limit
};

// What an update says of itself, as device scalars.
struct UpdateReport {
  at::Tensor grad_norm;  // float64, before clipping
  at::Tensor applied;    // bool: loss and norm were finite and within the limits, so the weights moved
};

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  // Measures the global gradient norm (deterministic order, float64 sums), clips, updates master and compute copy and clears the
  // gradients. Where loss or norm is not finite or over its limit, neither weights nor state move: a NaN never enters them.
  virtual UpdateReport update(const Update& update) = 0;

  // State for checkpoints: named fp32 tensors that alias the state ("exp_avg.blocks.0.ffn.w.weight"), and counters.
  struct State {
    std::string name;
    at::Tensor tensor;
  };
  virtual std::vector<State> state() = 0;
};

// Size of the state for declared parameters, allocated or not; `plan` needs it without an optimizer.
struct StateSize {
  std::uint64_t memory_bytes = 0;      // with what an update computes in
  std::uint64_t checkpoint_bytes = 0;  // the fp32 tensors of state()
};
StateSize state_size(const OptimizerConfig& config, const ops::Parameters& parameters);

// Number of applied updates is part of the state (Adam's bias correction, Adafactor's decay rate), as a float64 device tensor "num_updates".
std::unique_ptr<Optimizer> make_optimizer(const OptimizerConfig& config, ops::Parameters& parameters);

}  // namespace sluice::optim
