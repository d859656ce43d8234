// Optimizers over the parameter arena.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "ops/context.h"
#include "ops/parameters.h"
#include "optim/optimizer_config.h"

namespace sluice::optim {

// Inputs of one update. Tensors are device scalars; the host never waits for them.
struct Update {
  double lr = 0;                          // schedule included
  at::Tensor loss{};                      // float64: mean loss of the step
  at::Tensor loss_limit{}, norm_limit{};  // float64: larger is a spike; +inf: no limit
  at::Tensor device_lr{};                 // float64, in place of `lr` on a GPU
};

// Outcome of an update, as device scalars.
struct UpdateReport {
  at::Tensor grad_norm;  // float64, before clipping
  // bool: loss and norm were finite and within the limits, so the weights were updated
  at::Tensor applied;
};

// Inputs of a masked update in plain ATen calls, as device scalars. If `applied` is false, weights
// and state must stay bit-identical.
struct MaskedStep {
  double lr = 0;
  // float64: gradient factor; number of applied updates including this one, at least 1
  at::Tensor clip, num_updates;
  at::Tensor applied;  // bool
};

// The update procedure shared by all optimizers; a derived class adds its formula and state.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  // Computes the global gradient norm (deterministic order, float64 sums), clips by it (Pascanu et
  // al. 2013: gradients times min(1, clip_norm / norm)), updates master weights and compute copy,
  // and clears the gradients. If loss or norm is not finite or exceeds its limit, neither weights
  // nor state change, so a NaN never enters them.
  UpdateReport update(const Update& update);

  // State for checkpoints: named fp32 tensors that alias the state
  // ("exp_avg.blocks.0.ffn.w.weight") and "num_updates", the number of applied updates (float64).
  struct State {
    std::string name;
    at::Tensor tensor;
  };
  std::vector<State> state();

 protected:
  // `clip_norm` 0: no clipping. A norm above `max_norm` after clipping is treated as non-finite.
  struct Limits {
    double clip_norm = 0;
    double max_norm = std::numeric_limits<double>::infinity();
  };
  Optimizer(ops::Parameters& parameters, ops::Form form, const Limits& limits);
  bool fused() const { return fused_; }
  ops::Parameters& parameters() { return parameters_; }
  const ops::Parameters& parameters() const { return parameters_; }

  // Fused form on a CPU. `apply` updates weights, compute copy and state, and clears the gradients.
  virtual double gradient_norm() = 0;
  virtual void apply(double lr, double clip, double num_updates) = 0;
  // Reference form and other devices: updates weights and state if step.applied.
  virtual void apply_masked(const MaskedStep& step) = 0;
  virtual std::vector<State> moments() = 0;  // state() without num_updates

 private:
  UpdateReport update_fused(const Update& update);
  UpdateReport update_masked(const Update& update);

  ops::Parameters& parameters_;
  Limits limits_;
  bool fused_;
  at::Tensor num_updates_;  // float64
};

// Size of the state for declared parameters, allocated or not; `plan` has no optimizer.
struct StateSize {
  std::uint64_t memory_bytes = 0;      // including buffers of the update
  std::uint64_t checkpoint_bytes = 0;  // the fp32 tensors of state()
};
StateSize state_size(const OptimizerConfig& config, const ops::Parameters& parameters);

std::unique_ptr<Optimizer> make_optimizer(const OptimizerConfig& config,
                                          ops::Parameters& parameters);

}  // namespace sluice::optim
