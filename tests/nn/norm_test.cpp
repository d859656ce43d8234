#include "nn/norm.h"

#include <ATen/ATen.h>

#include <cmath>

#include "tests/nn/module_support.h"

namespace sluice::nn::test {
namespace {

using ops::test::Setting;

constexpr std::size_t kNormWidth = 12, kNormRows = 5;
constexpr double kEps = 1e-3;

// Zhang & Sennrich 2019, eq. 4; Ba et al. 2016, eq. 3 and 4.
Array formula(NormType type, const Arrays& p, bool bias) {
  const Array& x = p.at("x");
  Array y(x.size());
  for (std::size_t r = 0; r < kNormRows; ++r) {
    double mean = 0, square = 0;
    for (std::size_t i = 0; i < kNormWidth; ++i) mean += x[r * kNormWidth + i] / kNormWidth;
    if (type == NormType::kRmsNorm) mean = 0;
    for (std::size_t i = 0; i < kNormWidth; ++i)
      square += std::pow(x[r * kNormWidth + i] - mean, 2) / kNormWidth;
    for (std::size_t i = 0; i < kNormWidth; ++i) {
      y[r * kNormWidth + i] =
          (x[r * kNormWidth + i] - mean) / std::sqrt(square + kEps) * p.at("n.scale")[i] +
          (bias ? p.at("n.bias")[i] : 0);
    }
  }
  return y;
}

class Norms : public ::testing::TestWithParam<Setting> {};

TEST_P(Norms, EqualTheFormulaInValuesAndGradients) {
  for (const NormType type : {NormType::kRmsNorm, NormType::kLayerNorm}) {
    for (const bool bias : {false, true}) {
      ops::Parameters parameters;
      const Norm norm(parameters, "n", {.type = type, .eps = kEps}, kNormWidth, bias);
      fill(parameters, GetParam(), 1.0);
      const at::Tensor x = ops::test::leaf(ops::test::numbers({1, kNormRows, kNormWidth}, 1),
                                           GetParam(), at::kFloat);
      const at::Tensor y = norm.forward(x, GetParam().dtype, GetParam().context());
      EXPECT_EQ(y.scalar_type(), GetParam().dtype);
      const Array upstream = array_of(ops::test::numbers({kNormRows, kNormWidth}, 2));
      y.backward(at::tensor(upstream, at::kDouble).view(y.sizes()).to(y.options()));

      const bool shifted = bias && type == NormType::kLayerNorm;
      Arrays inputs = values_of(parameters), got = gradients_of(parameters);
      EXPECT_EQ(inputs.size(), shifted ? 2u : 1u);
      inputs["x"] = array_of(x);
      got["x"] = array_of(x.grad());
      const double allowed = ops::test::tolerance(GetParam().dtype);
      expect_close(array_of(y), formula(type, inputs, shifted), allowed, "output");
      const auto weighted = [&](const Arrays& p) {
        const Array out = formula(type, p, shifted);
        double sum = 0;
        for (std::size_t i = 0; i < out.size(); ++i) sum += upstream[i] * out[i];
        return sum;
      };
      expect_close(got, finite_difference_gradients(weighted, inputs), allowed);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, Norms, ::testing::ValuesIn(ops::test::all_settings()),
                         ops::test::setting_name);

TEST(Norm, InitializesScalesToOneWithoutDecay) {
  ops::Parameters parameters;
  const Norm norm(parameters, "n", {.type = NormType::kLayerNorm}, 7, true);
  parameters.allocate(at::kCPU, at::kFloat, false);
  parameters.initialize(1);
  EXPECT_TRUE(at::equal(parameters.named()[0].value, at::ones({7})));
  EXPECT_TRUE(at::equal(parameters.named()[1].value, at::zeros({7})));
  for (const ops::ParameterSpec* spec : parameters.specs()) EXPECT_FALSE(spec->decay) << spec->name;
}

}  // namespace
}  // namespace sluice::nn::test
