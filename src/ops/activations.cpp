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

at::Tensor Relu::reference(const at::Tensor& a) { return at::relu(a); }

at::Tensor SquaredRelu::reference(const at::Tensor& a) {
  const at::Tensor positive = at::relu(a);
  return positive * positive;
}

at::Tensor Identity::reference(const at::Tensor& a) { return a; }
at::Tensor Sigmoid::reference(const at::Tensor& a) { return at::sigmoid(a); }
at::Tensor Swish::reference(const at::Tensor& a) { return a * at::sigmoid(a); }
at::Tensor GeluTanh::reference(const at::Tensor& a) { return at::gelu(a, "tanh"); }
at::Tensor GeluErf::reference(const at::Tensor& a) { return at::gelu(a, "none"); }

}  // namespace sluice::ops
