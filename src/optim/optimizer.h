// Optimizers over the parameter arena.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gpu/device.h"
#include "ops/context.h"
#include "ops/parameters.h"
#include "optim/optimizer_config.h"
#include "optim/shards.h"

namespace sluice::optim {

struct GpuUpdate;  // optim/gpu_update.h

// Inputs of one update. Tensors are device scalars; the host never waits for them.
struct Update {
  double lr = 0;                          // schedule included; not used if device_lr is defined
  at::Tensor loss{};                      // float64: mean loss of the step
  at::Tensor loss_limit{}, norm_limit{};  // float64: larger is a spike; +inf or undefined: no limit
  at::Tensor device_lr{};                 // float64: lr on the device; required by the GPU form
  std::function<void()> before_apply{};   // on CPUs: called just before weights change
};

// Outcome of an update, as device scalars. The GPU form returns the same tensors each time and
// overwrites them in the next update.
struct UpdateReport {
  at::Tensor grad_norm;  // float64, before clipping
  // bool: loss and norm were finite and within the limits, so the weights were updated
  at::Tensor applied;
};

// Inputs of a masked update in plain ATen calls, as device scalars. If `applied` is false, weights
// and state must stay bit-identical.
struct MaskedStep {
  // float64: learning rate; gradient factor; number of applied updates including this one, at
  // least 1
  at::Tensor lr, clip, num_updates;
  at::Tensor applied;  // bool
};

// The update procedure shared by all optimizers; a derived class adds its formula and state. Three
// forms compute the same:
//   fused kernels for CPUs, by default;
//   kernels for GPUs, if the optimizer has a gpu::Device: an update only launches kernels, always
//     the same sequence with the same arguments if the tensors of Update are the same, so that it
//     can be recorded as a CUDA graph. What changes from step to step is in device memory;
//   plain ATen calls: Form::kReference, and devices without a gpu::Device.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  // Computes the global gradient norm (deterministic order, float64 sums), clips by it (Pascanu et
  // al. 2013: gradients times min(1, clip_norm / norm)), updates master weights and compute copy,
  // and clears the gradients; of a divided arena, those of the own part. If loss or norm is not
  // finite or exceeds its limit, neither weights nor state change, so a NaN never enters them.
  UpdateReport update(const Update& update);

  // State for checkpoints: named fp32 tensors that alias the state
  // ("exp_avg.blocks.0.ffn.w.weight") and "num_updates", the number of applied updates (float64).
  // If the arena is divided, `tensor` is flat: elements begins[rank] to begins[rank + 1] - 1 of the
  // state with this shape. Without `begins`, every process has the whole.
  struct State {
    std::string name;
    at::Tensor tensor;
    std::vector<std::int64_t> shape{}, begins{};
  };
  std::vector<State> state();

  const Shards& shards() const { return shards_; }

 protected:
  // `clip_norm` 0: no clipping. A norm above `max_norm` after clipping is treated as non-finite.
  struct Limits {
    double clip_norm = 0;
    double max_norm = std::numeric_limits<double>::infinity();
  };
  // `device`: runs the kernels for GPUs, unless the form is kReference; borrowed. nullptr for an
  // optimizer without such kernels.
  // A divided arena needs the kernels for CPUs.
  Optimizer(ops::Parameters& parameters, ops::Form form, gpu::Device* device, const Limits& limits,
            Shards shards);
  bool on_cpu() const { return kernels_ == Kernels::kCpu; }
  bool on_gpu() const { return kernels_ == Kernels::kGpu; }
  ops::Parameters& parameters() { return parameters_; }
  const ops::Parameters& parameters() const { return parameters_; }

  // The part of the arena that this process updates, and the place of one of its elements in
  // memory that has the elements of this part only.
  bool owns(std::int64_t element) const { return ops::contains(own_, element); }
  std::int64_t own_place(std::int64_t element) const { return ops::place_in(own_, element); }
  const std::vector<ArenaRange>& own() const { return own_; }
  // The state of a parameter: `tensor` has `shape`, and belongs to the processes that have the
  // elements of the parameter, or is undefined if this is none of them.
  State state_of(std::string name, std::vector<std::int64_t> shape, at::Tensor tensor,
                 const ops::Parameters::Declared& parameter) const;

  // Kernels for CPUs, for the own part: the sums of squares of the gradient, by piece in the order
  // of the arena; `apply` updates weights, compute copy and state, and clears the gradients.
  virtual std::vector<double> gradient_squares() = 0;
  virtual std::vector<std::int64_t> piece_begins() const = 0;  // in the arena
  virtual void apply(double lr, double clip, double num_updates) = 0;
  // Kernels for GPUs: launches a whole update. InvariantError unless overridden.
  virtual void launch(const GpuUpdate& update);
  // Plain ATen calls: updates weights and state if step.applied.
  virtual void apply_masked(const MaskedStep& step) = 0;
  virtual std::vector<State> moments() = 0;  // state() without num_updates

 private:
  enum class Kernels { kNone, kCpu, kGpu };
  UpdateReport update_on_cpu(const Update& update);
  double gradient_norm();
  void gather_pieces(std::size_t num_own);
  // The values of the pieces of all ranks, rank after rank.
  std::vector<double> gather_values(const std::vector<double>& own);
  UpdateReport update_on_gpu(const Update& update);
  UpdateReport update_masked(const Update& update);

  ops::Parameters& parameters_;
  Limits limits_;
  Kernels kernels_;
  Shards shards_;
  std::vector<ArenaRange> own_;
  // Of gradient_squares(), gathered once: the number by rank, and the order of all in the arena.
  std::vector<std::int64_t> pieces_of_ranks_;
  std::vector<std::size_t> order_of_pieces_;
  at::Tensor num_updates_;          // float64
  at::Tensor grad_norm_, applied_;  // of the GPU form
};

// Size of the state for declared parameters, allocated or not; `plan` has no optimizer.
struct StateSize {
  std::uint64_t memory_bytes = 0;      // including buffers of an update on a CPU
  std::uint64_t gpu_memory_bytes = 0;  // including buffers of an update by the kernels for GPUs
  std::uint64_t checkpoint_bytes = 0;  // the fp32 tensors of state()
};
// `part`: what one process has of a divided arena; checkpoint_bytes is that of all.
StateSize state_size(const OptimizerConfig& config, const ops::Parameters& parameters,
                     const std::optional<std::vector<ArenaRange>>& part = {});

// Shards::parts of `num_ranks` processes; empty for one. `sections`: disjoint ranges, each of which
// is divided, as is what lies between them; without any, the arena is.
std::vector<std::vector<ArenaRange>> shard_parts(const OptimizerConfig& config,
                                                 const ops::Parameters& parameters, int num_ranks,
                                                 const std::vector<ArenaRange>& sections = {});

// `device`: runs the kernels for GPUs and holds the parameters; borrowed. nullptr: kernels for
// CPUs, and plain ATen calls on other devices.
std::unique_ptr<Optimizer> make_optimizer(const OptimizerConfig& config,
                                          ops::Parameters& parameters,
                                          gpu::Device* device = nullptr, Shards shards = {});

}  // namespace sluice::optim
