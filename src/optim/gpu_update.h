// What the GPU forms of the optimizers share. An update is a fixed sequence of launches: the host
// reads nothing, and no argument changes from step to step as long as the tensors of GpuUpdate stay
// the same, so that the sequence can be recorded and replayed.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "gpu/device.h"
#include "ops/parameters.h"

namespace sluice::optim {

// The kernel texts of this module. Generated (gpu/embed.cmake).
std::span<const gpu::Text> kernel_texts();

// Device scalars, float64 except for `applied`. The limits may be undefined: no limit.
struct GpuUpdate {
  at::Tensor lr, loss, loss_limit, norm_limit;
  at::Tensor num_updates;         // of applied updates; incremented by an applied one
  at::Tensor grad_norm, applied;  // results; `applied` is bool
};

inline const double* scalar_pointer(const at::Tensor& scalar) {
  return scalar.defined() ? scalar.const_data_ptr<double>() : nullptr;
}

// Device memory for `count` values of a struct of gpu_tables.h, filled with zeros.
template <class Row>
at::Tensor table_for(std::int64_t count, at::Device device) {
  return at::zeros({count * static_cast<std::int64_t>(sizeof(Row))},
                   at::TensorOptions().dtype(at::kByte).device(device));
}

template <class Row>
at::Tensor table_of(const std::vector<Row>& rows, at::Device device) {
  const at::Tensor host = table_for<Row>(static_cast<std::int64_t>(rows.size()), at::kCPU);
  std::memcpy(host.mutable_data_ptr(), rows.data(), rows.size() * sizeof(Row));
  return host.to(device);
}

// The bf16 copy of the weights, or nullptr in fp32.
inline const void* compute_copy_of(const ops::Parameters& parameters) {
  return parameters.compute().scalar_type() == at::kBFloat16
             ? parameters.compute().mutable_data_ptr()
             : nullptr;
}

}  // namespace sluice::optim
