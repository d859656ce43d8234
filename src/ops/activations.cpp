#include "ops/activations.h"

#include <ATen/ATen.h>

namespace sluice::ops {

template struct ActivationTable<Relu>;
template struct ActivationTable<SquaredRelu>;
template struct ActivationTable<Identity>;
template struct ActivationTable<Sigmoid>;
template struct ActivationTable<Swish>;
template struct ActivationTable<GeluTanh>;
template struct ActivationTable<GeluErf>;

at::Tensor relu_reference(const at::Tensor& a) { return at::relu(a); }

at::Tensor squared_relu_reference(const at::Tensor& a) {
  const at::Tensor positive = at::relu(a);
  return positive * positive;
}

at::Tensor identity_reference(const at::Tensor& a) { return a; }
at::Tensor sigmoid_reference(const at::Tensor& a) { return at::sigmoid(a); }
at::Tensor swish_reference(const at::Tensor& a) { return a * at::sigmoid(a); }
at::Tensor gelu_tanh_reference(const at::Tensor& a) { return at::gelu(a, "tanh"); }
at::Tensor gelu_erf_reference(const at::Tensor& a) { return at::gelu(a, "none"); }

}  // namespace sluice::ops
