// Parameters of the tests in this directory, and comparison with float64.
#pragma once

#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "ops/context.h"
#include "ops/cuda.h"
#include "ops/parameters.h"
#include "tests/gpu/host_device.h"

namespace sluice::ops::test {

// A configuration for running an op. `dtype`: of activations and compute copies; residual stream
// and master weights are fp32, or float64 if dtype is float64.
struct Setting {
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;
  Form form = Form::kFastest;
  Reductions reductions = Reductions::kFp32;
  gpu::Device* gpu = nullptr;  // with kCPU: the GPU kernels on the host; kCUDA implies them

  at::ScalarType master() const { return dtype == at::kDouble ? at::kDouble : at::kFloat; }
  bool uses_gpu_kernels() const { return gpu != nullptr || device.is_cuda(); }
  // LibTorch's attention, the core of the fused form on GPUs, also rounds in bf16 the
  // probabilities, and each query head's gradients of keys and values.
  bool has_library_attention() const {
    return dtype == at::kBFloat16 && form == Form::kFastest && device.is_cuda();
  }
  Context context() const {
    return {.form = form, .gpu = gpu != nullptr ? gpu : gpu_of(device), .reductions = reductions};
  }
};

// All available devices × fp32, bf16 × fused, reference; and the GPU kernels on the host.
std::vector<Setting> all_settings();
// Without these: they take a minute for the models, which tests/train/step_runner_test.cpp trains.
std::vector<Setting> device_settings();
gpu::test::HostDevice& host_gpu();
std::string name_of(const Setting& setting);
std::string setting_name(const testing::TestParamInfo<Setting>& info);

// The oracle: the reference form in float64.
inline Setting exact() { return {at::kCPU, at::kDouble, Form::kReference}; }

// Standard normal numbers · scale in float64, rounded to bf16 so that all settings use equal
// values.
at::Tensor numbers(std::vector<std::int64_t> shape, std::uint64_t seed, double scale = 1.0);

// A leaf of `dtype` that requires grad.
at::Tensor leaf(const at::Tensor& numbers, const Setting& setting, at::ScalarType dtype);
// A stored tensor with a gradient buffer (zeros) and its compute copy.
Weight weight_of(const at::Tensor& numbers, const Setting& setting);

// Allowed |got − want| is tolerance · (|want| + rms(want)). The tolerance is a number of roundings:
// 64 for fp32 (sums of a few hundred terms), 4 for bf16 (operands are exact; results and
// intermediate gradients are rounded).
double tolerance(at::ScalarType dtype);
// Keeps the largest error of the running test, in units of what is allowed, as the property
// `error_of_allowed` of its result (--gtest_output). expect_close() calls it.
void record_error(double error, double allowed);
void expect_close(const at::Tensor& got, const at::Tensor& want, double allowed,
                  const std::string& what);

// An op under test: creates inputs for a setting, runs forward and backward, and returns the output
// followed by the gradients.
using Run = std::function<std::vector<at::Tensor>(const Setting&)>;
// `gradient_factor`: multiplies the tolerance of gradients, for ops whose backward uses a rounded
// intermediate result.
void expect_equals_float64(const Setting& setting, const Run& run, double gradient_factor = 1);

// Reductions::kCompute: less accurate in bf16 but within tolerance, identical in fp32.
void expect_reductions_in_compute_dtype(const Run& run);

// Compares autograd of `f` (float64) with central differences along random directions.
void expect_finite_difference_gradients(
    const std::function<at::Tensor(const std::vector<at::Tensor>&)>& f,
    const std::vector<at::Tensor>& inputs);

}  // namespace sluice::ops::test
