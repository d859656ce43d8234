// What only the GPU forms of the optimizers promise, with the kernels on the host. Their results
// are tested with those of the other forms.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "ops/cuda.h"
#include "optim/adafactor_gpu.h"
#include "tests/gpu/nvrtc_support.h"
#include "tests/optim/adafactor_support.h"
#include "tests/optim/optim_support.h"

namespace sluice::optim {
namespace {

using gpu::test::HostDevice;
using test::scalar;
using test::set_gradients;

struct Case {
  const char* name;
  OptimizerConfig config;
};

class OnGpu : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override { at::set_num_threads(1); }
  static std::unique_ptr<Optimizer> make(ops::Parameters& parameters, gpu::Device* device) {
    return make_optimizer(GetParam().config, parameters, device);
  }
};

std::vector<at::Tensor> copies_of(Optimizer& optimizer, const ops::Parameters& parameters) {
  std::vector<at::Tensor> all{parameters.master().detach().clone(), parameters.compute().clone()};
  for (const auto& state : optimizer.state()) all.push_back(state.tensor.clone());
  return all;
}

void expect_equal(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(at::equal(a[i], b[i])) << i;
}

void train(Optimizer& optimizer, ops::Parameters& parameters, int begin, int end) {
  for (int step = begin; step < end; ++step) {
    set_gradients(parameters, static_cast<std::uint64_t>(step));
    EXPECT_TRUE(optimizer.update(test::update_of(0.01 / (1 + step))).applied.item<bool>());
  }
}

TEST_P(OnGpu, SameBitsInEveryOrderOfThreadsAndInEveryRun) {
  std::vector<std::vector<at::Tensor>> results;
  for (const auto order : {HostDevice::Order::kAscending, HostDevice::Order::kDescending,
                           HostDevice::Order::kAscending}) {
    HostDevice device(order);
    const auto parameters = test::some_parameters(at::kBFloat16);
    const auto optimizer = make(*parameters, &device);
    train(*optimizer, *parameters, 0, 2);
    results.push_back(copies_of(*optimizer, *parameters));
  }
  expect_equal(results[0], results[1]);
  expect_equal(results[0], results[2]);
}

// As a replayed CUDA graph requires: the sequence of launches and all arguments are those of the
// step before, applied or not, whatever the learning rate and the loss.
TEST_P(OnGpu, LaunchesDoNotDependOnValues) {
  HostDevice device;
  const auto parameters = test::some_parameters(at::kBFloat16);
  const auto optimizer = make(*parameters, &device);
  const at::Tensor lr = scalar(0.1), loss = scalar(1), loss_limit = scalar(3),
                   norm_limit = scalar(test::kInf);
  std::vector<std::vector<gpu::test::Launch>> steps;
  for (const double value : {1.0, 2.0, 4.0}) {
    lr.fill_(0.1 / value);
    loss.fill_(value);
    set_gradients(*parameters, static_cast<std::uint64_t>(value));
    const std::size_t before = device.launches().size();
    const UpdateReport report = optimizer->update({.lr = 0.1 * value,
                                                   .loss = loss,
                                                   .loss_limit = loss_limit,
                                                   .norm_limit = norm_limit,
                                                   .device_lr = lr});
    EXPECT_EQ(report.applied.item<bool>(), value < 3);
    steps.emplace_back(device.launches().begin() + static_cast<std::ptrdiff_t>(before),
                       device.launches().end());
  }
  EXPECT_EQ(optimizer->state().back().tensor.item<double>(), 2);
  for (const auto& step : steps) {
    ASSERT_EQ(step.size(), steps[0].size());
    for (std::size_t i = 0; i < step.size(); ++i) {
      EXPECT_EQ(step[i].entry, steps[0][i].entry);
      EXPECT_EQ(step[i].settings, steps[0][i].settings);
      EXPECT_EQ(step[i].arguments, steps[0][i].arguments) << step[i].entry;
      EXPECT_EQ(step[i].grid.x, steps[0][i].grid.x);
      EXPECT_EQ(step[i].grid.threads, steps[0][i].grid.threads);
    }
  }
}

// On the host, and on a GPU if there is one.
TEST_P(OnGpu, EveryGpuUpdatesLikeTheCpu) {
  std::vector<at::Device> devices{at::kCPU};
  if (at::hasCUDA()) devices.emplace_back(at::kCUDA, 0);
  for (const at::Device device : devices) {
    const auto cpu = test::some_parameters(), gpu = test::some_parameters(at::kFloat, device);
    const auto want = make(*cpu, nullptr),
               got = make(*gpu, device.is_cpu() ? &test::host_gpu() : ops::gpu_of(device));
    for (std::uint64_t step = 0; step < 4; ++step) {
      for (ops::Parameters* parameters : {cpu.get(), gpu.get()}) set_gradients(*parameters, step);
      Update update = test::update_of(0.01);
      const double norm = want->update(update).grad_norm.item<double>();
      update.loss = update.loss.to(device);
      update.device_lr = update.device_lr.to(device);
      EXPECT_NEAR(got->update(update).grad_norm.item<double>(), norm, 1e-6 * norm);
    }
    // Both forms are within this distance of float64 (adamw_test.cpp, adafactor_test.cpp).
    EXPECT_TRUE(at::allclose(gpu->master().cpu(), cpu->master(), /*rtol=*/1e-5, /*atol=*/1e-6))
        << device << ": " << (gpu->master().cpu() - cpu->master()).abs().max().item<float>();
  }
}

TEST_P(OnGpu, ResultsAreTheSameTensorsEachTime) {
  const auto parameters = test::some_parameters();
  const auto optimizer = make(*parameters, &test::host_gpu());
  set_gradients(*parameters, 1);
  const UpdateReport first = optimizer->update(test::update_of(0.1));
  const double norm = first.grad_norm.item<double>();
  set_gradients(*parameters, 2, 0.1);
  const UpdateReport second = optimizer->update(test::update_of(0.1, std::nan("")));
  EXPECT_EQ(first.grad_norm.data_ptr(), second.grad_norm.data_ptr());
  EXPECT_EQ(first.applied.data_ptr(), second.applied.data_ptr());
  EXPECT_GT(second.grad_norm.item<double>(), 1.5 * norm);
  EXPECT_FALSE(first.applied.item<bool>());
}

// From a state that was saved, as from a checkpoint.
TEST_P(OnGpu, ResumingEqualsNeverHavingStopped) {
  const auto whole = test::some_parameters(at::kBFloat16),
             halves = test::some_parameters(at::kBFloat16);
  const auto uninterrupted = make(*whole, &test::host_gpu());
  train(*uninterrupted, *whole, 0, 4);
  std::vector<at::Tensor> saved;
  {
    const auto optimizer = make(*halves, &test::host_gpu());
    train(*optimizer, *halves, 0, 2);
    for (const auto& state : optimizer->state()) saved.push_back(state.tensor.clone());
  }
  const auto resumed = make(*halves, &test::host_gpu());
  const auto state = resumed->state();
  for (std::size_t i = 0; i < state.size(); ++i) at::Tensor(state[i].tensor).copy_(saved[i]);
  train(*resumed, *halves, 2, 4);
  expect_equal(copies_of(*uninterrupted, *whole), copies_of(*resumed, *halves));
}

// The two forms differ in rounding only; relative to the largest element of each tensor.
TEST_P(OnGpu, AgreesWithTheCpuKernels) {
  std::vector<std::vector<at::Tensor>> results;
  for (gpu::Device* device : std::initializer_list<gpu::Device*>{nullptr, &test::host_gpu()}) {
    const auto parameters = test::some_parameters();
    const auto optimizer = make(*parameters, device);
    train(*optimizer, *parameters, 0, 3);
    results.push_back(copies_of(*optimizer, *parameters));
  }
  for (std::size_t i = 0; i < results[0].size(); ++i) {
    const at::Tensor &cpu = results[0][i], &gpu = results[1][i];
    EXPECT_LE((cpu - gpu).abs().max().item<double>(), 3e-6 * cpu.abs().max().item<double>()) << i;
  }
}

TEST_P(OnGpu, NeedsScalarsOfTheDevice) {
  const auto parameters = test::some_parameters();
  const auto optimizer = make(*parameters, &test::host_gpu());
  const auto update = [&](Update wrong) { optimizer->update(wrong); };
  EXPECT_THROW(update({.lr = 0.1, .loss = scalar(1)}), InvariantError);
  EXPECT_THROW(update({.loss = scalar(1), .device_lr = scalar(1).to(at::kFloat)}), InvariantError);
  EXPECT_THROW(
      update({.loss = scalar(1), .norm_limit = scalar(1).to(at::kFloat), .device_lr = scalar(1)}),
      InvariantError);
}

TEST_P(OnGpu, CompilesForGpus) {
  HostDevice device;
  const auto parameters = test::some_parameters();
  const auto optimizer = make(*parameters, &device);
  train(*optimizer, *parameters, 0, 1);
  expect_compiles_for_gpus(device.launches());
}

INSTANTIATE_TEST_SUITE_P(
    Optimizers, OnGpu,
    ::testing::Values(Case{"AdamW", AdamWConfig{}},
                      Case{"AdamWScaled", AdamWConfig{.scale_by_rms = true}},
                      Case{"Adafactor", AdafactorConfig{}},
                      Case{"AdafactorClipped", AdafactorConfig{.clip_update = 0.5, .clip_norm = 2}},
                      Case{"AdafactorUnfactored", AdafactorConfig{.factored_min_dim = 1000}}),
    [](const auto& test) { return test.param.name; });

TEST(AdafactorGpu, StateSizeIncludesItsBuffers) {
  const auto parameters = test::some_parameters();
  const AdafactorConfig config;
  const StateSize size = state_size(config, *parameters);
  const at::Tensor statistics =
      at::zeros({static_cast<std::int64_t>(size.checkpoint_bytes / sizeof(float))});
  const AdafactorGpu gpu(test::host_gpu(), config, *parameters, statistics);
  EXPECT_EQ(size.gpu_memory_bytes, size.checkpoint_bytes + gpu.buffer_bytes());
  EXPECT_LT(size.gpu_memory_bytes, parameters->master().nbytes() / 2);
}

}  // namespace
}  // namespace sluice::optim
