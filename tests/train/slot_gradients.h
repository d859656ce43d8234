// Gradients of micro-batches whose sum depends on the order of additions.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>

namespace sluice::train {

// The gradient of a slot, of any size from 1e-3 to 1e3, so that the order of additions shows.
inline at::Tensor gradient_of(std::int64_t slot, const at::Tensor& like) {
  const at::Tensor i = at::arange(like.numel(), at::kDouble);
  const at::Tensor noise =
      at::sin(i * 12.9898 + 78.233 * static_cast<double>(slot + 1)) * 43758.5453;
  const at::Tensor unit = noise - noise.floor() - 0.5;
  return (unit * at::pow(10.0, at::remainder(i + slot, 7) - 3)).to(at::kFloat);
}

}  // namespace sluice::train
