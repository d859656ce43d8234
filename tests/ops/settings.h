// What the tests of this folder are parametrised over, and the comparison with float64 that all of them use.
#pragma once

#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "ops/context.h"
#include "ops/parameters.h"

namespace sluice::ops::test {

// One way to run an op. `dtype`: of the compute side (activations, compute copies); the residual stream and masters are fp32, or
// float64 where dtype is.
struct Setting {
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;
  Form form = Form::kFastest;
  Reductions reductions = Reductions::kFp32;

  at::ScalarType master() const { return dtype == at::kDouble ? at::kDouble : at::kFloat; }
  Context context() const { return {.form = form, .reductions = reductions}; }
};

std::vector<Setting> all_settings();  // every device here × fp32, bf16 × fused, reference
std::string name_of(const Setting& setting);
std::string setting_name(const testing::TestParamInfo<Setting>& info);

// The oracle: the reference form in float64.
inline Setting exact() { return {at::kCPU, at::kDouble, Form::kReference}; }

// Standard normal numbers · scale, float64, representable in bf16, so that every setting computes with the same numbers.
at::Tensor numbers(std::vector<std::int64_t> shape, std::uint64_t seed, double scale = 1.0);

// A leaf of `dtype` that requires grad.
at::Tensor leaf(const at::Tensor& numbers, const Setting& setting, at::ScalarType dtype);
// A stored tensor with a gradient buffer (zeros) and its compute copy.
Weight weight_of(const at::Tensor& numbers, const Setting& setting);

// Allowed |got − want| is tolerance · (|want| + rms(want)). A tolerance is a number of roundings of the type: 64 for fp32
// (products of some hundred terms), 4 for bf16 (operands are exact; results and intermediate gradients are rounded).
double tolerance(at::ScalarType dtype);
void expect_close(const at::Tensor& got, const at::Tensor& want, double allowed, const std::string& what);

// An op under test: makes its inputs for a setting, runs, and returns the output followed by the gradients.
using Run = std::function<std::vector<at::Tensor>(const Setting&)>;
// `gradient_factor`: tolerance of the gradients in those of `tolerance`, for an op that reads a rounded intermediate of its own.
void expect_equals_float64(const Setting& setting, const Run& run, double gradient_factor = 1);

// Statistics in the type of the products: in bf16 they cost accuracy and no more than that; in fp32 there is no difference.
void expect_reductions_follow_the_products(const Run& run);

// `f`: float64 inputs → any shape. Compares autograd with central differences along random directions.
void expect_gradients_of_differences(const std::function<at::Tensor(const std::vector<at::Tensor>&)>& f,
                                     const std::vector<at::Tensor>& inputs);

}  // namespace sluice::ops::test
