// AdamW (optim/adamw.h) by the kernels of optim/adamw.cu.
#pragma once

#include <cstdint>
#include <vector>

#include "optim/adamw.h"
#include "optim/gpu_update.h"

namespace sluice::optim {

class AdamWGpu {
 public:
  // `segments` cover all parameters; with scale_by_rms, one per logical parameter. Borrowed: device
  // and parameters.
  AdamWGpu(gpu::Device& device, const AdamWConfig& config, ops::Parameters& parameters,
           const std::vector<Segment>& segments);
  // Launches one update. Moments: fp32, laid out as the arena.
  void launch(const GpuUpdate& update, const at::Tensor& exp_avg, const at::Tensor& exp_avg_sq);

 private:
  gpu::Device& device_;
  ops::Parameters& parameters_;
  bool scale_by_rms_;
  std::int64_t num_pieces_ = 0, num_segments_ = 0;
  // Tables of optim/gpu_tables.h
  at::Tensor constants_, pieces_, segments_, coefficients_;
  // By piece (float64); by segment (fp32). Of the weights and steps: only with scale_by_rms.
  at::Tensor gradient_squares_, weight_squares_, step_sizes_;
};

}  // namespace sluice::optim
