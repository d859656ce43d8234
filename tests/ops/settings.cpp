#include "tests/ops/settings.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <utility>

#include "base/random.h"

namespace sluice::ops::test {

gpu::test::HostDevice& host_gpu() {
  static gpu::test::HostDevice device;
  return device;
}

std::vector<Setting> device_settings() {
  std::vector<at::Device> devices{at::kCPU};
  if (at::hasCUDA()) devices.emplace_back(at::kCUDA, 0);
  std::vector<Setting> all;
  for (const at::Device device : devices)
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16})
      for (const Form form : {Form::kFastest, Form::kReference})
        all.push_back({device, dtype, form});
  return all;
}

std::vector<Setting> all_settings() {
  std::vector<Setting> all = device_settings();
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16})
    all.push_back({.dtype = dtype, .gpu = &host_gpu()});
  return all;
}

std::string name_of(const Setting& setting) {
  const char* where = setting.device.is_cuda() ? "cuda"
                      : setting.gpu != nullptr ? "host_gpu"
                                               : "cpu";
  return std::string(where) + (setting.dtype == at::kBFloat16 ? "_bf16" : "_fp32") +
         (setting.form == Form::kFastest ? "_fused" : "_reference");
}

std::string setting_name(const testing::TestParamInfo<Setting>& info) {
  return name_of(info.param);
}

at::Tensor numbers(std::vector<std::int64_t> shape, std::uint64_t seed, double scale) {
  const at::Tensor result = at::empty(shape, at::kDouble);
  const std::uint64_t key = random_key(seed, "test");
  double* values = result.data_ptr<double>();
  for (std::int64_t i = 0, n = result.numel(); i < n; ++i)
    values[i] = scale * random_normal(key, static_cast<std::uint64_t>(i));
  return result.to(at::kBFloat16).to(at::kDouble);
}

at::Tensor leaf(const at::Tensor& numbers, const Setting& setting, at::ScalarType dtype) {
  return numbers
      .to(at::TensorOptions().device(setting.device).dtype(dtype), /*non_blocking=*/false,
          /*copy=*/true)
      .set_requires_grad(true);
}

Weight weight_of(const at::Tensor& numbers, const Setting& setting) {
  Weight weight;
  weight.value = leaf(numbers, setting, setting.master());
  weight.value.mutable_grad() = at::zeros_like(weight.value);
  weight.compute =
      setting.dtype == at::kBFloat16 ? weight.value.detach().to(at::kBFloat16) : weight.value;
  return weight;
}

double tolerance(at::ScalarType dtype) {
  switch (dtype) {
    case at::kDouble:
      return 1e-12;
    case at::kBFloat16:
      return 4.0 / 256;
    default:
      return 64 * 1.1920929e-7;
  }
}

void record_error(double error, double allowed) {
  static const testing::TestInfo* of = nullptr;
  static double worst = 0;
  const testing::TestInfo* running = testing::UnitTest::GetInstance()->current_test_info();
  if (running != std::exchange(of, running)) worst = 0;
  worst = std::max(worst, error / std::max(allowed, 1e-300));
  testing::Test::RecordProperty("error_of_allowed", std::to_string(worst));
}

void expect_close(const at::Tensor& got, const at::Tensor& want, double allowed,
                  const std::string& what) {
  ASSERT_EQ(got.sizes(), want.sizes()) << what;
  const at::Tensor g = got.detach().to(at::kCPU, at::kDouble),
                   w = want.detach().to(at::kCPU, at::kDouble);
  ASSERT_TRUE(at::isfinite(g).all().item<bool>()) << what << ": not finite";
  const at::Tensor limit = allowed * (w.abs() + w.square().mean().sqrt());
  if (w.numel() > 0)
    record_error(((g - w).abs() / limit.clamp_min(1e-300)).max().item<double>(), 1);
  const double worst = w.numel() == 0 ? 0.0 : ((g - w).abs() - limit).max().item<double>();
  const double relative = (g - w).norm().item<double>() / std::max(w.norm().item<double>(), 1e-300);
  EXPECT_LE(worst, 0.0) << what << ": relative error of the whole " << relative
                        << ", allowed per element " << allowed;
}

void expect_equals_float64(const Setting& setting, const Run& run, double gradient_factor) {
  const std::vector<at::Tensor> want = run(exact()), got = run(setting);
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < want.size(); ++i)
    expect_close(got[i], want[i], tolerance(setting.dtype) * (i == 0 ? 1 : gradient_factor),
                 i == 0 ? "output" : "gradient " + std::to_string(i));
}

void expect_reductions_in_compute_dtype(const Run& run) {
  const auto results = [&](at::ScalarType dtype, Reductions reductions) {
    return run(Setting{.dtype = dtype, .reductions = reductions});
  };
  const auto precise = results(at::kFloat, Reductions::kFp32),
             same = results(at::kFloat, Reductions::kCompute);
  for (std::size_t i = 0; i < precise.size(); ++i) EXPECT_TRUE(at::equal(precise[i], same[i])) << i;
  const auto want = run(exact()), fine = results(at::kBFloat16, Reductions::kFp32),
             coarse = results(at::kBFloat16, Reductions::kCompute);
  EXPECT_FALSE(at::equal(fine[0], coarse[0]));
  const auto error = [&](const std::vector<at::Tensor>& got) {
    return (got[0].to(at::kDouble) - want[0]).norm().item<double>();
  };
  EXPECT_GT(error(coarse), error(fine));
  for (std::size_t i = 0; i < want.size(); ++i)
    expect_close(coarse[i], want[i], 4 * tolerance(at::kBFloat16), std::to_string(i));
}

void expect_finite_difference_gradients(
    const std::function<at::Tensor(const std::vector<at::Tensor>&)>& f,
    const std::vector<at::Tensor>& inputs) {
  std::vector<at::Tensor> leaves;
  for (const at::Tensor& input : inputs) leaves.push_back(input.clone().set_requires_grad(true));
  const at::Tensor y = f(leaves), upstream = numbers(y.sizes().vec(), 99);
  const auto gradients = torch::autograd::grad({(y * upstream).sum()}, leaves);
  constexpr double kStep = 1e-5;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    for (std::uint64_t direction_seed = 0; direction_seed < 3; ++direction_seed) {
      const at::Tensor direction = numbers(inputs[i].sizes().vec(), 1000 + direction_seed);
      const auto moved = [&](double step) {
        std::vector<at::Tensor> shifted = inputs;
        shifted[i] = inputs[i] + step * direction;
        return (f(shifted) * upstream).sum().item<double>();
      };
      const double slope = (moved(kStep) - moved(-kStep)) / (2 * kStep),
                   want = (gradients[i] * direction).sum().item<double>();
      EXPECT_NEAR(slope, want, 1e-6 * (1 + std::abs(want))) << "input " << i;
    }
  }
}

}  // namespace sluice::ops::test
