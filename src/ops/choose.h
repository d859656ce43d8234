// Selects the implementation of an op for given tensors. Some ops add further conditions.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "base/error.h"
#include "ops/context.h"
#include "ops/kernels.h"

namespace sluice::ops {

// Other dtypes (float64 in gradient checks) use the reference implementation.
inline bool is_fused_type(at::ScalarType type) {
  return type == at::kFloat || type == at::kBFloat16;
}

// True if the op's hand-written backward pass applies (on any device).
inline bool use_fused(const at::Tensor& x, const Context& context) {
  return context.form == Form::kFastest && is_fused_type(x.scalar_type());
}

// True if reductions run in bf16; no fused implementation supports this.
inline bool reduces_in_bf16(at::ScalarType compute, const Context& context) {
  return context.reductions == Reductions::kCompute && compute == at::kBFloat16;
}

// The dtype of softmax and loss for a matrix product of x's dtype.
inline at::ScalarType type_of_reductions(const at::Tensor& x, const Context& context) {
  if (x.scalar_type() == at::kDouble) return at::kDouble;
  return reduces_in_bf16(x.scalar_type(), context) ? at::kBFloat16 : at::kFloat;
}

// The device whose kernels apply, or nullptr.
inline gpu::Device* gpu_for(const at::Tensor& x, const Context& context) {
  return use_fused(x, context) ? context.gpu : nullptr;
}

// True if the CPU kernels of this module apply; they read host memory.
inline bool use_cpu_kernels(const at::Tensor& x, const Context& context) {
  return use_fused(x, context) && x.is_cpu() && context.gpu == nullptr;
}

// Optional tensors are undefined tensors in this project and std::optional in autograd functions.
inline std::optional<at::Tensor> if_defined(const at::Tensor& x) {
  return x.defined() ? std::optional(x) : std::nullopt;
}

// The gradient of a parameter: a view of the arena's gradient buffer, updated in place by backward.
inline at::Tensor gradient_of(const at::Tensor& value) {
  invariant(value.grad().defined(),
            "parameters that require gradients are allocated with gradients");
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

// Calls body with a value of the storage type for `type`: float or Bf16.
template <typename Body>
void with_stored_type(at::ScalarType type, const Body& body) {
  if (type == at::kBFloat16) return body(Bf16{});
  body(float{});
}

}  // namespace sluice::ops
