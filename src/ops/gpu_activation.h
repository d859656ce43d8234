// The activations of ops/glu.h on a GPU.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "gpu/device.h"
#include "ops/glu.h"

namespace sluice::ops {

struct GpuActivation {
  gpu::Device& device;
  const Activation& f;
  bool gated;
  at::Tensor scalars;  // the learned scalars of f, fp32, or undefined

  // x [..., n], or [..., 2n] if gated -> [..., n]. Contiguous, fp32 or bf16.
  at::Tensor forward(const at::Tensor& x) const;
  // The gradient of x; adds that of the scalars to the arena. Computes the result again into y, if
  // defined.
  at::Tensor backward(const at::Tensor& x, const at::Tensor& dy, const at::Tensor& y) const;

 private:
  std::int64_t columns_of(const at::Tensor& x) const;
  std::int64_t rows_of(const at::Tensor& x) const;
  gpu::Kernel kernel(const at::Tensor& x, const std::string& entry) const;
  gpu::Grid grid(const at::Tensor& x) const;
};

}  // namespace sluice::ops
