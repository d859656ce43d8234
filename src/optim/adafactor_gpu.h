// Adafactor (optim/adafactor.h) by the kernels of optim/adafactor.cu.
#pragma once

#include <cstdint>
#include <vector>

#include "optim/adafactor.h"
#include "optim/gpu_tables.h"
#include "optim/gpu_update.h"

namespace sluice::optim {

class AdafactorGpu {
 public:
  // `statistics`: those of all parameters in declaration order, fp32; a factored matrix has its
  // rows, then its columns. Borrowed: device and parameters.
  AdafactorGpu(gpu::Device& device, const AdafactorConfig& config, ops::Parameters& parameters,
               const at::Tensor& statistics);
  void launch(const GpuUpdate& update);
  std::uint64_t buffer_bytes() const;

 private:
  void launch_statistics();
  void launch_step();

  gpu::Device& device_;
  ops::Parameters& parameters_;
  std::int64_t num_parts_ = 0, num_tiles_ = 0, num_lines_ = 0;
  at::Tensor statistics_;
  // Tables of optim/gpu_tables.h
  at::Tensor constants_, parts_, tiles_, lines_, coefficients_;
  // float64: by tile; by row and column of tiles; by lines
  at::Tensor gradient_squares_, weight_squares_, update_squares_, row_sums_, column_sums_,
      row_totals_;
  at::Tensor steps_;  // fp32, by parameter
};

// Bytes of the buffers of AdafactorGpu, for declared parameters.
std::uint64_t gpu_buffer_bytes(const AdafactorConfig& config, const ops::Parameters& parameters);

}  // namespace sluice::optim
