#include "ops/glu.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cmath>

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
constexpr Activation kSoftCube = activation_of<SoftCube, &SoftCube::reference>();

constexpr Activation kAll[] = {kRelu,     kSquaredRelu, kIdentity,   kSigmoid,      kSwish,
                               kGeluTanh, kGeluErf,     kDoubleRelu, kClampedSwish, kSwishBeta,
                               kXielu,    kPolyNorm,    kSoftCube};

// Values of the learned scalars near their initial ones, exact in bf16 so that all settings use
// equal values.
at::Tensor scalars_of(const Activation& f) {
  std::vector<double> initial;
  for (const LearnedScalar& scalar : f.scalars)
    initial.insert(initial.end(), static_cast<std::size_t>(scalar.size), scalar.initial);
  const at::Tensor exact = at::tensor(initial, at::kDouble) + numbers({f.num_scalars()}, 4, 0.3);
  return exact.to(at::kBFloat16).to(at::kDouble);
}

double softplus_of(double x) { return std::log(1 + std::exp(x)); }

// Closed forms in float64. `s`: the learned scalars.
double closed_form(std::string_view name, double x, const std::vector<double>& s) {
  if (name == "drelu") return x > 0 ? x : 0;
  if (name == "clamped_swish") return std::fmin(x, 7) / (1 + std::exp(-1.702 * std::fmin(x, 7)));
  if (name == "swish_beta") return x / (1 + std::exp(-s[0] * x));
  if (name == "xielu" && x > 0) return softplus_of(s[0]) * x * x + 0.5 * x;
  if (name == "xielu") return (0.5 + softplus_of(s[1])) * (std::expm1(x) - x) + 0.5 * x;
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

// PolyNorm of one row.
std::vector<double> poly_norm_of(const std::vector<double>& x, const std::vector<double>& s) {
  std::vector<double> y(x.size(), s[3]);
  for (int power = 1; power <= 3; ++power) {
    double mean = 0;
    for (const double v : x) mean += std::pow(v, 2 * power) / static_cast<double>(x.size());
    for (std::size_t i = 0; i < x.size(); ++i)
      y[i] +=
          s[static_cast<std::size_t>(3 - power)] * std::pow(x[i], power) / std::sqrt(mean + 1e-6);
  }
  return y;
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
    const Weight scalars = weight_of(scalars_of(f), setting);
    const Weight* learned = f.scalars.empty() ? nullptr : &scalars;
    const at::Tensor y =
        gated ? glu(x, f, setting.context(), learned) : activate(x, f, setting.context(), learned);
    y.backward(numbers({2, 53, n}, 8).to(y.options()));
    if (learned == nullptr) return std::vector<at::Tensor>{y, x.grad()};
    return std::vector<at::Tensor>{y, x.grad(), scalars.value.grad()};
  };
}

TEST_P(Activations, GatedEqualsFloat64) {
  const Activation& f = GetParam().activation;
  if (f.is_rowwise) GTEST_SKIP() << "has no gated form";
  // Values beyond the limits of the clamps.
  expect_equals_float64(GetParam().setting, run_of(f, true, f.factor != nullptr ? 8.0 : 2.0));
}
TEST_P(Activations, PlainEqualsFloat64) {
  expect_equals_float64(GetParam().setting, run_of(GetParam().activation, false, 2.0));
}
TEST_P(Activations, ManyRowsEqualFloat64) {
  const Activation& f = GetParam().activation;
  expect_equals_float64(GetParam().setting, run_of(f, !f.is_rowwise, 1.0, 700));
}

TEST_P(Activations, LargeArgumentsStayFinite) {
  const auto& [f, setting] = GetParam();
  const at::Tensor x = leaf(at::tensor({-1e4, -90.0, -30.0, 0.0, 30.0, 90.0, 1e4}, at::kDouble),
                            setting, setting.dtype);
  const Weight scalars = weight_of(scalars_of(f), setting);
  const at::Tensor y = activate(x, f, setting.context(), f.scalars.empty() ? nullptr : &scalars);
  y.sum().backward();
  EXPECT_TRUE(at::isfinite(y).all().item<bool>());
  EXPECT_TRUE(at::isfinite(x.grad()).all().item<bool>());
}

TEST_P(Activations, NanPassesThrough) {
  const auto& [f, setting] = GetParam();
  const at::Tensor x =
      at::full({40}, std::nan(""), at::TensorOptions().dtype(setting.dtype).device(setting.device));
  const Weight scalars = weight_of(scalars_of(f), setting);
  const Weight* learned = f.scalars.empty() ? nullptr : &scalars;
  EXPECT_TRUE(at::isnan(activate(x, f, setting.context(), learned)).all().item<bool>());
  if (f.is_rowwise) return;
  const at::Tensor ab = at::cat({at::ones_like(x), x}, -1);
  EXPECT_TRUE(at::isnan(glu(ab, f, setting.context(), learned)).all().item<bool>());
}

std::string case_name(const ::testing::TestParamInfo<Case>& info) {
  return std::string(info.param.activation.name) + "_" + name_of(info.param.setting);
}

INSTANTIATE_TEST_SUITE_P(All, Activations, ::testing::ValuesIn(all_cases()), case_name);

std::vector<double> vector_of(const at::Tensor& x) {
  return {x.const_data_ptr<double>(), x.const_data_ptr<double>() + x.numel()};
}

// inputs: ab and, if f has learned scalars, these.
at::Tensor gated_reference(const Activation& f, const std::vector<at::Tensor>& inputs) {
  if (f.scalars.empty()) return glu(inputs[0], f, exact().context());
  const Weight scalars{.value = inputs[1], .compute = inputs[1]};
  return glu(inputs[0], f, exact().context(), &scalars);
}

TEST(Activations, ReferenceMatchesTheClosedFormAndItsDerivative) {
  for (const Activation& f : kAll) {
    const at::Tensor x = at::linspace(-9.01, 9.02, 301, at::kDouble), s = scalars_of(f),
                     y = f.reference(x, s);
    const std::vector<double> in = vector_of(x), scalars = vector_of(s);
    std::vector<double> want;
    for (const double value : in) want.push_back(closed_form(f.name, value, scalars));
    if (f.is_rowwise) want = poly_norm_of(in, scalars);
    for (std::size_t i = 0; i < want.size(); ++i)
      EXPECT_NEAR(y[static_cast<std::int64_t>(i)].item<double>(), want[i], 1e-12) << f.name;
    const at::Tensor ab = numbers({5, 8}, 3, f.factor != nullptr ? 8 : 1);
    const auto gated = [&](const auto& inputs) { return gated_reference(f, inputs); };
    if (f.scalars.empty()) {
      expect_finite_difference_gradients([&](const auto& a) { return f.reference(a[0], {}); }, {x});
      expect_finite_difference_gradients(gated, {ab});
      continue;
    }
    expect_finite_difference_gradients([&](const auto& a) { return f.reference(a[0], a[1]); },
                                       {x, s});
    if (!f.is_rowwise) expect_finite_difference_gradients(gated, {ab, s});
  }
}

// The second factors of the two variants that have their own.
TEST(Activations, SecondFactorsMatchTheClosedForms) {
  const at::Tensor ab = numbers({50, 2}, 3, 8);
  const at::Tensor drelu = glu(ab, kDoubleRelu, exact().context()),
                   clamped = glu(ab, kClampedSwish, exact().context());
  for (std::int64_t i = 0; i < ab.size(0); ++i) {
    const double a = ab[i][0].item<double>(), b = ab[i][1].item<double>();
    EXPECT_DOUBLE_EQ(drelu[i][0].item<double>(), a > 0 && b > 0 ? a * b : 0);
    const double up = b > 7 ? 7 : b < -7 ? -7 : b;
    EXPECT_NEAR(clamped[i][0].item<double>(), closed_form("clamped_swish", a, {}) * (up + 1),
                1e-12);
  }
}

// The order of summation of their gradients is fixed.
TEST(Activations, LearnedScalarsDoNotDependOnTheNumberOfThreads) {
  const int before = at::get_num_threads();
  for (const Activation& f : kAll) {
    if (f.scalars.empty()) continue;
    at::set_num_threads(1);
    const at::Tensor one = run_of(f, false, 1.0, 700)({})[2].clone();
    at::set_num_threads(4);
    EXPECT_TRUE(at::equal(one, run_of(f, false, 1.0, 700)({})[2])) << f.name;
  }
  at::set_num_threads(before);
}

TEST(Activations, LearnedScalarsAreRequiredAndNotAcceptedOtherwise) {
  const Weight scalars = weight_of(at::zeros({2}, at::kDouble), {});
  EXPECT_ANY_THROW(activate(at::zeros({2, 4}), kXielu, Context{}));
  EXPECT_ANY_THROW(activate(at::zeros({2, 4}), kSwishBeta, Context{}, &scalars));
  EXPECT_ANY_THROW(activate(at::zeros({2, 4}), kSwish, Context{}, &scalars));
  const Weight four = weight_of(at::zeros({4}, at::kDouble), {});
  EXPECT_ANY_THROW(glu(at::zeros({2, 4}), kPolyNorm, Context{}, &four));
}

// e^x - 1 - x has no cancellation near 0, and the branches meet.
TEST(Activations, XieluIsAccurateNearZero) {
  const float scalars[] = {0.2f, -1.0f};
  const Xielu f(scalars);
  for (double x = -20; x < -1e-6; x *= 0.93) {
    const auto v = static_cast<float>(x);
    const double exact = std::expm1(static_cast<double>(v)) - static_cast<double>(v);
    EXPECT_NEAR(Xielu::exp_remainder(v) / exact, 1, 2e-6) << x;
  }
  EXPECT_EQ(f.value(0.0f), 0.0f);
  EXPECT_EQ(f.slope(0.0f), 0.5f);
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
