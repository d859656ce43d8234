#include "nn/ffn.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "base/error.h"
#include "ops/activations.h"
#include "tests/nn/module_support.h"

namespace sluice::nn::test {
namespace {

using ops::test::Setting;

// Not in the table; checks that a new variant works like the built-in ones.
struct Softsign {
  static constexpr std::string_view name = "softsign";
  static float value(float x) { return x / (1.0f + std::abs(x)); }
  static float slope(float x) { return 1.0f / ((1.0f + std::abs(x)) * (1.0f + std::abs(x))); }
  static at::Tensor reference(const at::Tensor& a) { return a / (1 + a.abs()); }
};
constexpr FfnVariant kNewRows[] = {
    {.name = "softsign",
     .activation = ops::activation_of<Softsign, &Softsign::reference>(),
     .gated = false,
     .summary = "softsign(xW) W2"},
    {.name = "softsign_glu",
     .activation = ops::activation_of<Softsign, &Softsign::reference>(),
     .gated = true,
     .summary = "(softsign(xW) * xV) W2"},
};

std::vector<const FfnVariant*> all_variants() {
  std::vector<const FfnVariant*> all;
  for (const FfnVariant& variant : kFfnVariants) all.push_back(&variant);
  for (const FfnVariant& variant : kNewRows) all.push_back(&variant);
  return all;
}

double swish(double a) { return a / (1 + std::exp(-a)); }
double relu(double a) { return a > 0 ? a : 0; }
double gelu_tanh(double a) {
  return 0.5 * a * (1 + std::tanh(std::sqrt(2 / M_PI) * (a + 0.044715 * a * a * a)));
}
double softplus(double a) { return std::log(1 + std::exp(a)); }
double gelu_erf(double a) { return 0.5 * a * (1 + std::erf(a / std::sqrt(2.0))); }

// Shazeer 2020, equations 1 to 6, and the other variants, by YAML name. Unlisted variants use their
// reference implementation.
double hidden(const FfnVariant& variant, double a, double b, const Arrays& p) {
  const std::string_view name = variant.name;
  if (name == "relu") return relu(a);
  if (name == "gelu") return gelu_tanh(a);
  if (name == "swish") return swish(a);
  if (name == "glu") return b / (1 + std::exp(-a));
  if (name == "bilinear") return a * b;
  if (name == "reglu") return relu(a) * b;
  if (name == "geglu") return gelu_tanh(a) * b;
  if (name == "swiglu") return swish(a) * b;
  if (name == "squared_relu") return relu(a) * relu(a);
  if (name == "squared_reglu") return relu(a) * relu(a) * b;
  if (name == "gelu_erf") return gelu_erf(a);
  if (name == "geglu_erf") return gelu_erf(a) * b;
  if (name == "drelu") return relu(a) * relu(b);
  if (name == "swiglu_clamped") {
    const double gate = std::fmin(a, 7);
    return gate / (1 + std::exp(-1.702 * gate)) * (std::fmax(std::fmin(b, 7), -7) + 1);
  }
  if (name.ends_with("_beta")) {
    const double f = a / (1 + std::exp(-p.at("ffn.activation.beta")[0] * a));
    return variant.gated ? f * b : f;
  }
  if (name == "xielu")
    return 0.5 * a +
           (a > 0 ? softplus(p.at("ffn.activation.alpha_p")[0]) * a * a
                  : (0.5 + softplus(p.at("ffn.activation.alpha_n")[0])) * (std::exp(a) - 1 - a));
  const double f =
      variant.activation.reference(at::scalar_tensor(a, at::kDouble), {}).item<double>();
  return variant.gated ? f * b : f;
}

// Zhuo et al. 2024: a row of n numbers after another.
Array poly_norm(const Array& a, std::size_t n, const Arrays& p) {
  const Array &weight = p.at("ffn.activation.weight"), &bias = p.at("ffn.activation.bias");
  Array h(a.size(), bias[0]);
  for (std::size_t row = 0; row < a.size(); row += n) {
    for (int power = 1; power <= 3; ++power) {
      double square = 0;
      for (std::size_t i = row; i < row + n; ++i) square += std::pow(a[i], 2 * power);
      const double rms = std::sqrt(square / static_cast<double>(n) + 1e-6);
      for (std::size_t i = row; i < row + n; ++i)
        h[i] += weight[static_cast<std::size_t>(3 - power)] * std::pow(a[i], power) / rms;
    }
  }
  return h;
}

constexpr std::int64_t kFfnWidth = 10, kHidden = 14, kRows = 6;

Array formula(const FfnVariant& variant, const Arrays& p, bool bias) {
  const auto bias_of = [&](const char* name) { return bias ? p.at(name) : Array{}; };
  const Array a = product(p.at("x"), p.at("ffn.w.weight"), bias_of("ffn.w.bias"), kFfnWidth);
  const Array b = variant.gated
                      ? product(p.at("x"), p.at("ffn.v.weight"), bias_of("ffn.v.bias"), kFfnWidth)
                      : Array(a.size());
  if (variant.name == "polynorm")
    return product(poly_norm(a, kHidden, p), p.at("ffn.w2.weight"), bias_of("ffn.w2.bias"),
                   kHidden);
  Array h(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) h[i] = hidden(variant, a[i], b[i], p);
  return product(h, p.at("ffn.w2.weight"), bias_of("ffn.w2.bias"), kHidden);
}

class FfnVariants : public ::testing::TestWithParam<const FfnVariant*> {
 protected:
  static void expect_equals_formula(const FfnVariant& variant, const Setting& setting, bool bias);
};

void FfnVariants::expect_equals_formula(const FfnVariant& variant, const Setting& setting,
                                        bool bias) {
  ops::Parameters parameters;
  const Ffn ffn(parameters, "ffn", variant, {.d_model = kFfnWidth, .d_ff = kHidden, .bias = bias},
                {});
  fill(parameters, setting, 0.5);
  const at::Tensor x =
      ops::test::leaf(ops::test::numbers({2, kRows / 2, kFfnWidth}, 1), setting, setting.dtype);
  const at::Tensor y = ffn.forward(x, setting.context());
  const Array upstream = array_of(ops::test::numbers({kRows, kFfnWidth}, 2));
  y.backward(at::tensor(upstream, at::kDouble).view(y.sizes()).to(y.options()));

  Arrays inputs = values_of(parameters), got = gradients_of(parameters);
  inputs["x"] = array_of(x);
  got["x"] = array_of(x.grad());
  const double allowed = tolerance(setting.dtype);
  expect_close(array_of(y), formula(variant, inputs, bias), allowed, "output");
  const auto weighted = [&](const Arrays& p) {
    const Array out = formula(variant, p, bias);
    return std::inner_product(out.begin(), out.end(), upstream.begin(), 0.0);
  };
  expect_close(got, finite_difference_gradients(weighted, inputs), allowed);
}

TEST_P(FfnVariants, EqualTheFormulaInValuesAndGradients) {
  for (const Setting& setting : ops::test::all_settings()) {
    // The kernel texts do not know an activation that is defined in a test.
    if (setting.uses_gpu_kernels() && GetParam()->activation.name == Softsign::name) continue;
    for (const bool bias : {false, true}) {
      SCOPED_TRACE(name_of(setting) + (bias ? " with biases" : ""));
      expect_equals_formula(*GetParam(), setting, bias);
    }
  }
}

std::string variant_name(const ::testing::TestParamInfo<const FfnVariant*>& info) {
  return std::string(info.param->name);
}

INSTANTIATE_TEST_SUITE_P(All, FfnVariants, ::testing::ValuesIn(all_variants()), variant_name);

TEST(FfnVariantTable, HasThePapersVariantsAndNoDuplicates) {
  std::set<std::string_view> names, formulas;
  for (const FfnVariant& variant : kFfnVariants) {
    names.insert(variant.name);
    formulas.insert(variant.summary);
    const bool gated = variant.name.find("glu") != std::string_view::npos ||
                       variant.name == "bilinear" || variant.name == "drelu";
    EXPECT_EQ(variant.gated, gated) << variant.name;
  }
  const std::set<std::string_view> paper = {"relu",     "gelu",  "swish", "glu",
                                            "bilinear", "reglu", "geglu", "swiglu"};
  EXPECT_TRUE(std::includes(names.begin(), names.end(), paper.begin(), paper.end()));
  EXPECT_EQ(names.size(), std::size(kFfnVariants));
  EXPECT_EQ(formulas.size(), std::size(kFfnVariants));
}

TEST(Ffn, DeclaresTheMatricesOfThePaperByName) {
  ops::Parameters gated, plain;
  const Ffn a(gated, "f", *FfnName("swiglu"), {.d_model = 8, .d_ff = 12, .bias = true}, {});
  const Ffn b(plain, "f", *FfnName("relu"), {.d_model = 8, .d_ff = 12}, {});
  std::vector<std::string> names;
  for (const ops::ParameterSpec* spec : gated.specs()) {
    names.push_back(spec->name);
    EXPECT_EQ(spec->decay, spec->shape.size() == 2) << spec->name;
  }
  EXPECT_EQ(names, (std::vector<std::string>{"f.w.weight", "f.v.weight", "f.w.bias", "f.v.bias",
                                             "f.w2.weight", "f.w2.bias"}));
  EXPECT_EQ(gated.num_parameters(), 3 * 8 * 12 + 2 * 12 + 8);
  EXPECT_EQ(plain.num_parameters(), 2 * 8 * 12);
}

TEST(Ffn, DeclaresLearnedScalarsWithTheirInitialValuesAndWithoutDecay) {
  const std::map<std::string, std::map<std::string, Array>> wanted = {
      {"relu", {}},
      {"swiglu_beta", {{"f.activation.beta", {1}}}},
      {"xielu",
       {{"f.activation.alpha_p", {std::log(std::expm1(0.8))}},
        {"f.activation.alpha_n", {std::log(std::expm1(0.3))}}}},
      {"polynorm",
       {{"f.activation.weight", {1.0 / 3, 1.0 / 3, 1.0 / 3}}, {"f.activation.bias", {0}}}}};
  for (const auto& [name, scalars] : wanted) {
    ops::Parameters parameters;
    const Ffn ffn(parameters, "f", *FfnName(name), {.d_model = 8, .d_ff = 12}, {});
    parameters.allocate(at::kCPU, at::kFloat, true);
    parameters.initialize(1);
    std::map<std::string, Array> got;
    for (const auto& parameter : parameters.named()) {
      if (parameter.spec->name.find(".activation.") == std::string::npos) continue;
      EXPECT_FALSE(parameter.spec->decay);
      got[parameter.spec->name] = array_of(parameter.value);
    }
    ASSERT_EQ(got.size(), scalars.size()) << name;
    for (const auto& [scalar, values] : scalars) expect_close(got.at(scalar), values, 1e-7, scalar);
  }
}

TEST(Ffn, RejectsAnInputOfAnotherWidth) {
  ops::Parameters parameters;
  const Ffn ffn(parameters, "f", *FfnName("swiglu"), {.d_model = 8, .d_ff = 12}, {});
  fill(parameters, {}, 0.1);
  EXPECT_THROW(ffn.forward(at::zeros({2, 9}), {}), InvariantError);
}

}  // namespace
}  // namespace sluice::nn::test
