// Steps of a run on random tokens, with weights that are thrown away: for `plan --measure`, and to
// find the largest micro-batch that fits.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <memory>

#include "data/batch.h"
#include "model/language_model.h"
#include "ops/cuda.h"
#include "optim/optimizer.h"
#include "train/resolve.h"
#include "train/step_runner.h"

namespace sluice::run {

// Where steps run. Tests run the GPU's kernels on the host.
struct Place {
  c10::Device device = c10::kCPU;
  gpu::Device* gpu = nullptr;
  train::StepRunner::MakeRecorder make_recorder = {};
};
Place place_of(const train::ResolvedRun& run);

// A whole batch, a function of `step`.
data::Batch random_batch(const train::ResolvedRun& run, std::int64_t vocab_size,
                         std::uint64_t step);

class Trial {
 public:
  // Allocates the model and the optimizer; weights are 0 unless `initialize`.
  Trial(const train::ResolvedRun& run, std::int64_t vocab_size, const Place& place,
        bool initialize);
  // Does not wait for a GPU.
  void start_step(const std::vector<data::Batch>& micro_batches, std::uint64_t step);
  void wait() const;
  // One forward pass of an evaluation; waits for it.
  void evaluate(const data::Batch& batch) const;

 private:
  ops::DeviceScope scope_;
  Place place_;
  std::unique_ptr<model::LanguageModel> model_;
  std::unique_ptr<optim::Optimizer> optimizer_;
  train::StepConfig config_;
  std::unique_ptr<train::StepRunner> runner_;
};

// Whether training fits into memory with run.micro_batch_sequences: runs steps until one is
// repeated as a CUDA graph, and an evaluation. Leaves no memory behind.
bool fits(const train::ResolvedRun& run, std::int64_t vocab_size, const Place& place);

}  // namespace sluice::run
