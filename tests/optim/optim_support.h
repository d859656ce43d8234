// Helpers shared by the optimizer tests.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <limits>
#include <vector>

#include "ops/parameters.h"
#include "optim/optimizer.h"
#include "tests/gpu/host_device.h"

namespace sluice::optim::test {

constexpr double kInf = std::numeric_limits<double>::infinity();

at::Tensor scalar(double value);                        // float64
std::vector<double> numbers(const at::Tensor& tensor);  // flat

// A form of an optimizer: that of CPUs, the reference, or the kernels for GPUs on the host.
struct FormUnderTest {
  ops::Form form = ops::Form::kFastest;
  gpu::Device* device = nullptr;
};
gpu::test::HostDevice& host_gpu();
constexpr FormUnderTest cpu_form() { return {}; }
constexpr FormUnderTest reference_form() { return {.form = ops::Form::kReference}; }
inline FormUnderTest gpu_form() { return {.device = &host_gpu()}; }

// An update with this learning rate for any form.
Update update_of(double lr, double loss = 1);

// Pseudo-random gradients keyed by step and parameter name.
void set_gradients(ops::Parameters& parameters, std::uint64_t step, double scale = 0.05);

// Whether everything outside the logical parameters is zero.
bool padding_is_zero(const ops::Parameters& parameters);

}  // namespace sluice::optim::test
