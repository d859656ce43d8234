#include "ops/activation_linear.h"

#include <ATen/ATen.h>

#include "ops/activations.h"
#include "tests/ops/settings.h"

namespace sluice::ops::test {
namespace {

class ActivationLinears : public ::testing::TestWithParam<Setting> {};

Run run_of(const Activation& f, bool gated, bool has_bias, std::int64_t n) {
  return [=](const Setting& setting) {
    const at::Tensor ab = leaf(numbers({2, 53, gated ? 2 * n : n}, 7), setting, setting.dtype);
    const Weight weight = weight_of(numbers({10, n}, 2, 0.3), setting),
                 bias = weight_of(numbers({10}, 3), setting),
                 scalars = weight_of(numbers({f.num_scalars()}, 4), setting);
    const at::Tensor y = activation_linear(ab,
                                           {.f = f,
                                            .gated = gated,
                                            .weight = weight,
                                            .bias = has_bias ? &bias : nullptr,
                                            .scalars = f.scalars.empty() ? nullptr : &scalars},
                                           setting.context());
    y.backward(numbers({2, 53, 10}, 8).to(y.options()));
    std::vector<at::Tensor> all{y, ab.grad(), weight.value.grad()};
    if (has_bias) all.push_back(bias.value.grad());
    if (!f.scalars.empty()) all.push_back(scalars.value.grad());
    return all;
  };
}

// Gradients pass through a hidden layer that is rounded to bf16.
TEST_P(ActivationLinears, EqualFloat64) {
  expect_equals_float64(GetParam(), run_of(kSwish, true, false, 37), 2);
  expect_equals_float64(GetParam(), run_of(kGeluTanh, true, true, 64), 2);
  expect_equals_float64(GetParam(), run_of(kSquaredRelu, false, true, 40), 2);
  expect_equals_float64(GetParam(), run_of(kClampedSwish, true, false, 37), 2);
  expect_equals_float64(GetParam(), run_of(kSwishBeta, true, true, 37), 2);
  expect_equals_float64(GetParam(), run_of(kXielu, false, true, 40), 2);
  expect_equals_float64(GetParam(), run_of(kPolyNorm, false, false, 37), 2);
}

INSTANTIATE_TEST_SUITE_P(All, ActivationLinears, ::testing::ValuesIn(all_settings()), setting_name);

TEST(ActivationLinears, AGpuKeepsNoHiddenLayer) {
  const Setting setting{.gpu = &host_gpu()};
  const std::size_t before = host_gpu().launches().size();
  run_of(kSwish, true, false, 16)(setting);
  std::vector<std::string> entries;
  for (std::size_t i = before; i < host_gpu().launches().size(); ++i)
    entries.push_back(host_gpu().launches()[i].entry);
  EXPECT_EQ(entries, (std::vector<std::string>{"gated", "gated_backward"}));
}

TEST(ActivationLinears, RejectsAnotherWidth) {
  const Setting setting{.gpu = &host_gpu()};
  const Weight weight = weight_of(numbers({4, 8}, 1), setting);
  EXPECT_ANY_THROW(activation_linear(
      at::zeros({2, 8}), {.f = kSwish, .gated = true, .weight = weight}, setting.context()));
}

}  // namespace
}  // namespace sluice::ops::test
