// What the tests of optimizers share.
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

// Pseudo-random gradients, the same for every caller, keyed by step and name.
void set_gradients(ops::Parameters& parameters, std::uint64_t step, double scale = 0.05);

// Is everything outside of the logical parameters zero?
bool padding_is_zero(const ops::Parameters& parameters);

}  // namespace sluice::optim::test
