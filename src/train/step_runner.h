// Runs the steps of a run. On a GPU, everything that changes from step to step is copied to memory
// that stays in place; the work is then the same every time, and is recorded as a CUDA graph.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "model/batch.h"
#include "ops/cuda.h"
#include "train/device_sums.h"
#include "train/train_step.h"

namespace sluice::train {

class StepRunner {
 public:
  // `model` and `optimizer` are borrowed. With `make_recorder`, steps on a GPU are recorded after
  // `kPlainSteps` steps, and again if the sizes of the batches change; never if it is empty or
  // returns nullptr.
  using MakeRecorder = std::function<std::unique_ptr<ops::Recorder>()>;
  // `sums`: with the parts of `optimizer` and the sections of `model`. `section_weights`: if
  // parameters are sharded, `device_sums`: if several processes use GPUs; borrowed.
  StepRunner(model::LanguageModel& model, optim::Optimizer& optimizer,
             MakeRecorder make_recorder = {}, GradientSumsConfig sums = {},
             SectionWeights* section_weights = nullptr, DeviceSums* device_sums = nullptr);

  // One step, as train_step(). All fields of `config` but step, lr and the limits are the same in
  // each call. The host waits for nothing, but several processes tell each other to stop.
  StepStats run(std::span<const data::Batch> micro_batches, const StepConfig& config);

  // After the weights were restored, in all processes.
  void forget_weights() { weights_.forget(); }
  SharedWeights& weights() { return weights_; }

  // Steps before recording: the first ones compile kernels, plan attention and create workspaces.
  static constexpr int kPlainSteps = 2;
  bool is_recorded() const { return recorder_ != nullptr; }

 private:
  struct Sizes {
    std::int64_t sequences = 0, inputs = 0, targets = 0;
    friend bool operator==(const Sizes&, const Sizes&) = default;
  };
  void allocate(std::span<const data::Batch> micro_batches, at::Device device);
  void feed(std::span<const data::Batch> micro_batches, std::int64_t num_targets,
            const StepConfig& config);
  void compute(const StepConfig& config);

  model::LanguageModel& model_;
  optim::Optimizer& optimizer_;
  SharedWeights weights_;
  std::optional<ShardedPasses> passes_;
  GradientSums gradients_;
  DeviceSums* device_sums_;
  MakeRecorder make_recorder_;
  std::unique_ptr<ops::Recorder> recorder_;
  int num_plain_ = 0;

  std::vector<Sizes> sizes_;
  at::Tensor inputs_;  // int64: the scalars below, then the tokens of all micro-batches
  // Views of inputs_: step (int64); learning rate, loss scale and limits (float64).
  at::Tensor step_, lr_, scale_, loss_limit_, norm_limit_;
  std::int64_t first_sample_ = 0;  // of batches_, in the step
  std::vector<model::Batch> batches_;
  at::Tensor outputs_;  // float64: loss, log-perplexity, gradient norm, applied
};

}  // namespace sluice::train
