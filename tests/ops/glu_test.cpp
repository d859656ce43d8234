#include "ops/glu.h"

#include <ATen/ATen.h>

#include "ops/activations.h"
#include "tests/ops/settings.h"

namespace sluice::ops::test {
namespace {

// Not used by any variant; checks that a new activation works like the built-in ones.
struct SoftCube {
  static constexpr std::string_view name = "soft_cube";
  static float value(float x) { return x * x * x / (1.0f + x * x); }
  static float slope(float x) { return x * x * (3.0f + x * x) / ((1.0f + x * x) * (1.0f + x * x)); }
  static at::Tensor reference(const at::Tensor& a) { return a * a * a / (1 + a * a); }
};
constexpr Activation kSoftCube = activation_of<SoftCube>(&SoftCube::reference);

constexpr Activation kAll[] = {kRelu,  kSquaredRelu, kIdentity, kSigmoid,
                               kSwish, kGeluTanh,    kGeluErf,  kSoftCube};

// Closed forms in float64.
double closed_form(std::string_view name, double x) {
  if (name == "relu") return x > 0 ? x : 0;
  if (name == "squared_relu") return x > 0 ? x * x : 0;
  if (name == "identity") return x;
  if (name == "sigmoid") return 1 / (1 + std::exp(-x));
  if (name == "swish") return x / (1 + std::exp(-x));
  if (name == "gelu_tanh")
    return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
  if (name == "gelu_erf") return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
  return x * x * x / (1 + x * x);
}

struct Case {
  Activation activation;
  Setting setting;
};

std::vector<Case> all_cases() {
  std::vector<Case> all;
  for (const Activation& activation : kAll)
    for (const Setting& setting : all_settings())
      // The kernel texts do not know an activation that is defined in a test.
      if (!setting.uses_gpu_kernels() || activation.name != kSoftCube.name)
        all.push_back({activation, setting});
  return all;
}

class Activations : public ::testing::TestWithParam<Case> {};

// 37 columns do not fill whole vectors; 2 · 53 rows exceed one task.
Run run_of(const Activation& f, bool gated, double scale, std::int64_t n = 37) {
  return [=](const Setting& setting) {
    const at::Tensor x =
        leaf(numbers({2, 53, gated ? 2 * n : n}, 7, scale), setting, setting.dtype);
    const at::Tensor y = gated ? glu(x, f, setting.context()) : activate(x, f, setting.context());
    y.backward(numbers({2, 53, n}, 8).to(y.options()));
    return std::vector<at::Tensor>{y, x.grad()};
  };
}

TEST_P(Activations, GatedEqualsFloat64) {
  expect_equals_float64(GetParam().setting, run_of(GetParam().activation, true, 2.0));
}
TEST_P(Activations, PlainEqualsFloat64) {
  expect_equals_float64(GetParam().setting, run_of(GetParam().activation, false, 2.0));
}
TEST_P(Activations, ManyRowsEqualFloat64) {
  expect_equals_float64(GetParam().setting, run_of(GetParam().activation, true, 1.0, 700));
}

TEST_P(Activations, LargeArgumentsStayFinite) {
  const auto& [f, setting] = GetParam();
  const at::Tensor x = leaf(at::tensor({-1e4, -90.0, -30.0, 0.0, 30.0, 90.0, 1e4}, at::kDouble),
                            setting, setting.dtype);
  const at::Tensor y = activate(x, f, setting.context());
  y.sum().backward();
  EXPECT_TRUE(at::isfinite(y).all().item<bool>());
  EXPECT_TRUE(at::isfinite(x.grad()).all().item<bool>());
}

TEST_P(Activations, NanPassesThrough) {
  const auto& [f, setting] = GetParam();
  const at::Tensor x =
      at::full({40}, std::nan(""), at::TensorOptions().dtype(setting.dtype).device(setting.device));
  EXPECT_TRUE(at::isnan(activate(x, f, setting.context())).all().item<bool>());
}

std::string case_name(const ::testing::TestParamInfo<Case>& info) {
  return std::string(info.param.activation.name) + "_" + name_of(info.param.setting);
}

INSTANTIATE_TEST_SUITE_P(All, Activations, ::testing::ValuesIn(all_cases()), case_name);

TEST(Activations, ReferenceMatchesTheClosedFormAndItsDerivative) {
  for (const Activation& f : kAll) {
    const at::Tensor x = at::linspace(-6.01, 6.02, 301, at::kDouble), y = f.reference(x);
    for (std::int64_t i = 0; i < x.numel(); ++i)
      EXPECT_NEAR(y[i].item<double>(), closed_form(f.name, x[i].item<double>()), 1e-12) << f.name;
    expect_finite_difference_gradients([&](const auto& in) { return f.reference(in[0]); }, {x});
    expect_finite_difference_gradients(
        [&](const auto& in) { return glu(in[0], f, exact().context()); }, {numbers({5, 8}, 3)});
  }
}

TEST(Activations, ScalarCodeIsAccurateOverTheWholeRange) {
  // Relative error against the double-precision library, so that the tails are checked too.
  for (double x = -12; x <= 12; x += 0.0037) {
    const auto f = static_cast<float>(x);
    EXPECT_NEAR(sigmoid(f) * (1 + std::exp(-static_cast<double>(f))), 1.0, 3e-7) << x;
    EXPECT_NEAR(normal_cdf(f) / (0.5 * std::erfc(-static_cast<double>(f) / std::sqrt(2.0))), 1.0,
                x < -5 ? 1e-5 : 1e-6)
        << x;
  }
  for (double x = -86; x <= 87; x += 0.0173) {
    const auto f = static_cast<float>(x);
    EXPECT_NEAR(fast_exp(f) / std::exp(static_cast<double>(f)), 1.0, 3e-7) << x;
  }
}

TEST(Activations, Bf16RoundsToNearestEvenAndKeepsNan) {
  for (const float x : {1.0f, 1.00390625f, 1.001953125f, 1.005859375f, -3.3e38f, 1e-40f, 65504.0f,
                        std::numeric_limits<float>::infinity()}) {
    Bf16 stored;
    store(x, stored);
    EXPECT_EQ(stored.bits, c10::BFloat16(x).x) << x;
  }
  Bf16 stored;
  store(std::nanf(""), stored);
  EXPECT_TRUE(std::isnan(load(stored)));
}

TEST(Activations, RejectsAnOddWidth) {
  EXPECT_ANY_THROW(glu(at::zeros({2, 3}), kSwish, Context{}));
}

TEST(Activations, EmptyInputGivesEmptyOutput) {
  EXPECT_EQ(glu(at::zeros({0, 8}), kSwish, Context{}).sizes(), (std::vector<std::int64_t>{0, 4}));
}

}  // namespace
}  // namespace sluice::ops::test
