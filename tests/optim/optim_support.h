// Helpers shared by the optimizer tests.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <limits>
#include <vector>

#include "ops/parameters.h"

namespace sluice::optim::test {

constexpr double kInf = std::numeric_limits<double>::infinity();

at::Tensor scalar(double value);                        // float64
std::vector<double> numbers(const at::Tensor& tensor);  // flat

// Pseudo-random gradients keyed by step and parameter name.
void set_gradients(ops::Parameters& parameters, std::uint64_t step, double scale = 0.05);

// Whether everything outside the logical parameters is zero.
bool padding_is_zero(const ops::Parameters& parameters);

}  // namespace sluice::optim::test
