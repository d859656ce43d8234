// Which form of an op runs for given tensors: the one place that decides, but for what an op adds in its own choose().
#pragma once

#include <ATen/core/Tensor.h>

#include "base/error.h"
#include "ops/context.h"
#include "ops/kernels.h"

namespace sluice::ops {

// fp32 and bf16 have fused forms; anything else (float64 of gradient checks) takes the reference.
inline bool is_fused_type(at::ScalarType type) { return type == at::kFloat || type == at::kBFloat16; }

// The op's hand-written backward pass applies, on whatever device.
inline bool choose_fused(const at::Tensor& x, const Context& context) {
  return context.form == Form::kFastest && is_fused_type(x.scalar_type());
}

// Statistics beside products of type `compute` are wanted in bf16. No fused form takes them so.
inline bool reduces_in_bf16(at::ScalarType compute, const Context& context) {
  return context.reductions == Reductions::kCompute && compute == at::kBFloat16;
}

// The type of a softmax or a loss beside products of x's type.
inline at::ScalarType type_of_reductions(const at::Tensor& x, const Context& context) {
  if (x.scalar_type() == at::kDouble) return at::kDouble;
  return reduces_in_bf16(x.scalar_type(), context) ? at::kBFloat16 : at::kFloat;
}

// The kernels of this folder apply: they read host memory.
inline bool choose_cpu_kernels(const at::Tensor& x, const Context& context) { return choose_fused(x, context) && x.is_cpu(); }

// The gradient of a stored tensor: a view of the arena's gradient buffer, which backward passes add to in place.
inline at::Tensor gradient_of(const at::Tensor& value) {
  invariant(value.grad().defined(), "parameters that require gradients were allocated with gradients");
  return value.grad();
}

template <typename T>
const T* read(const at::Tensor& x) {
  return static_cast<const T*>(x.const_data_ptr());
}

template <typename T>
T* write(const at::Tensor& x) {
  return static_cast<T*>(x.mutable_data_ptr());
}

// Calls body with a value of the type that `type` has in memory: float or Bf16.
template <typename Body>
void with_stored_type(at::ScalarType type, const Body& body) {
  if (type == at::kBFloat16) return body(Bf16{});
  body(float{});
}

}  // namespace sluice::ops
