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

// What a masked update in plain ATen calls is told: scalars on the device. Where `applied` is false, weights and state must stay
// bit for bit as they are.
struct MaskedStep {
  double lr = 0;
  at::Tensor clip, num_updates;  // float64: what gradients are multiplied by; applied updates including this one, at least 1
  at::Tensor applied;            // bool
};

// One procedure for every optimizer; a derived class adds its formula and its state.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  // Measures the global gradient norm (deterministic order, float64 sums), clips it (Pascanu et al. 2013: gradients times
  // min(1, clip_norm / norm)), updates master and compute copy and clears the gradients. Where loss or norm is not finite or over
  // its limit, neither weights nor state move: a NaN never enters them.
  UpdateReport update(const Update& update);

  // State for checkpoints: named fp32 tensors that alias the state ("exp_avg.blocks.0.ffn.w.weight"), and "num_updates", the
  // number of applied updates (float64).
  struct State {
    std::string name;
    at::Tensor tensor;
  };
  std::vector<State> state();

 protected:
  // `clip_norm` 0: no clipping. A norm above `max_norm` after clipping is treated as not finite.
  struct Limits {
    double clip_norm = 0;
    double max_norm = std::numeric_limits<double>::infinity();
  };
  Optimizer(ops::Parameters& parameters, ops::Form form, const Limits& limits);
  bool fused() const { return fused_; }
  ops::Parameters& parameters() { return parameters_; }
  const ops::Parameters& parameters() const { return parameters_; }

  // Fused form, on a CPU. `apply` moves weights, compute copy and state, and clears the gradients.
  virtual double gradient_norm() = 0;
  virtual void apply(double lr, double clip, double num_updates) = 0;
  // Any device and the reference form: moves weights and state where step.applied.
  virtual void apply_masked(const MaskedStep& step) = 0;
  virtual std::vector<State> moments() = 0;  // state() but for num_updates

 private:
  UpdateReport update_fused(const Update& update);
  UpdateReport update_masked(const Update& update);

  ops::Parameters& parameters_;
  Limits limits_;
  bool fused_;
  at::Tensor num_updates_;  // float64
};

// Size of the state for declared parameters, allocated or not; `plan` needs it without an optimizer.
struct StateSize {
  std::uint64_t memory_bytes = 0;      // with what an update computes in
  std::uint64_t checkpoint_bytes = 0;  // the fp32 tensors of state()
};
StateSize state_size(const OptimizerConfig& config, const ops::Parameters& parameters);

std::unique_ptr<Optimizer> make_optimizer(const OptimizerConfig& config, ops::Parameters& parameters);

}  // namespace sluice::optim
