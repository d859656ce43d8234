// The activations of ops/glu.h on a GPU.
#pragma once

#include <ATen/core/Tensor.h>

#include <initializer_list>
#include <string_view>

#include "gpu/device.h"

namespace sluice::ops {

struct GpuActivation {
  gpu::Device& device;
  std::string_view type;  // see Activation
  bool gated;

  // x [..., n], or [..., 2n] if gated -> [..., n]. Contiguous, fp32 or bf16.
  at::Tensor forward(const at::Tensor& x) const;
  // The gradient of x. Computes the result again into y, if defined.
  at::Tensor backward(const at::Tensor& x, const at::Tensor& dy, const at::Tensor& y) const;

 private:
  void launch(const char* entry, const at::Tensor& x,
              std::initializer_list<const void*> pointers) const;
};

}  // namespace sluice::ops
