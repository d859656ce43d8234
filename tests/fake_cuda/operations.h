// Running ATen operations of the fake card on the host.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace sluice::fake_cuda {

// The same memory as a CPU tensor.
at::Tensor on_host(const at::Tensor& x);

// Runs `compute`, which returns new CPU tensors, and returns them on the card. A replay writes the
// same tensors again.
std::vector<at::Tensor> run_on_host(std::function<std::vector<at::Tensor>()> compute);

}  // namespace sluice::fake_cuda
