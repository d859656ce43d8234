#include "ops/norm.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "tests/ops/settings.h"

namespace sluice::ops::test {
namespace {

class Norms : public ::testing::TestWithParam<Setting> {};

enum class Kind { kRms, kLayer, kLayerWithBias };

// 3·61 rows: several chunks, the last one partial.
Run run_of(Kind kind, std::int64_t d) {
  return [=](const Setting& setting) {
    const at::Tensor x = leaf(numbers({3, 61, d}, 1) + 0.5, setting, setting.master());
    const Weight scale = weight_of(numbers({d}, 2) + 1, setting),
                 bias = weight_of(numbers({d}, 3), setting);
    const Context context = setting.context();
    const at::Tensor y = kind == Kind::kRms
                             ? rms_norm(x, scale, 1e-5, setting.dtype, context)
                             : layer_norm(x, scale, kind == Kind::kLayer ? nullptr : &bias, 1e-5,
                                          setting.dtype, context);
    EXPECT_EQ(y.scalar_type(), setting.dtype);
    y.backward(numbers(y.sizes().vec(), 4).to(y.options()));
    std::vector<at::Tensor> all{y, x.grad(), scale.value.grad()};
    if (kind == Kind::kLayerWithBias) all.push_back(bias.value.grad());
    return all;
  };
}

// The norm of a residual stream with a pending update, whose sum is used too.
Run run_of_addition(Kind kind, std::int64_t d, at::ScalarType update_type = at::kBFloat16) {
  return [=](const Setting& setting) {
    const at::ScalarType type = setting.dtype == at::kBFloat16 ? update_type : setting.master();
    const Residual residual{.x = leaf(numbers({3, 61, d}, 1) + 0.5, setting, setting.master()),
                            .update = leaf(numbers({3, 61, d}, 5), setting, type)};
    const Weight scale = weight_of(numbers({d}, 2) + 1, setting),
                 bias = weight_of(numbers({d}, 3), setting);
    const NormOutput out =
        kind == Kind::kRms ? add_rms_norm(residual, scale, 1e-5, setting.dtype, setting.context())
                           : add_layer_norm(residual, scale, kind == Kind::kLayer ? nullptr : &bias,
                                            1e-5, setting.dtype, setting.context());
    EXPECT_EQ(out.sum.scalar_type(), setting.master());
    const at::Tensor weight = numbers({3, 61, d}, 4);
    ((out.y * weight.to(out.y.options())).sum() + (out.sum * weight.to(out.sum.options())).sum())
        .backward();
    std::vector<at::Tensor> all{out.y, out.sum, residual.x.grad(), residual.update.grad(),
                                scale.value.grad()};
    if (kind == Kind::kLayerWithBias) all.push_back(bias.value.grad());
    return all;
  };
}

TEST_P(Norms, AdditionAndNormEqualFloat64) {
  for (const std::int64_t d : {5, 24, 130, 1100})
    expect_equals_float64(GetParam(), run_of_addition(Kind::kRms, d));
  expect_equals_float64(GetParam(), run_of_addition(Kind::kRms, 24, at::kFloat));
  expect_equals_float64(GetParam(), run_of_addition(Kind::kLayer, 130));
  for (const std::int64_t d : {130, 1100})
    expect_equals_float64(GetParam(), run_of_addition(Kind::kLayerWithBias, d));
}

TEST_P(Norms, TheSumNeedsNoUse) {
  const at::Tensor x = leaf(numbers({4, 8}, 1), GetParam(), at::kFloat),
                   update = leaf(numbers({4, 8}, 2), GetParam(), at::kFloat);
  const Weight scale = weight_of(numbers({8}, 3), GetParam());
  add_rms_norm({x, update}, scale, 1e-5, at::kFloat, GetParam().context()).y.sum().backward();
  EXPECT_TRUE(at::equal(x.grad(), update.grad()));
}

TEST(Norms, GpuKernelsDoNotDependOnTheOrderOfThreads) {
  gpu::test::HostDevice descending(gpu::test::HostDevice::Order::kDescending);
  const Setting ascending{.dtype = at::kBFloat16, .gpu = &host_gpu()},
      other{.dtype = at::kBFloat16, .gpu = &descending};
  for (const std::int64_t d : {24, 1100}) {
    const auto a = run_of_addition(Kind::kLayerWithBias, d)(ascending),
               b = run_of_addition(Kind::kLayerWithBias, d)(other);
    for (std::size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(at::equal(a[i], b[i])) << i;
  }
}

TEST_P(Norms, RmsNormEqualsFloat64) {
  for (const std::int64_t d : {5, 24, 130})
    expect_equals_float64(GetParam(), run_of(Kind::kRms, d));
}
TEST_P(Norms, LayerNormEqualsFloat64) {
  for (const std::int64_t d : {24, 130}) expect_equals_float64(GetParam(), run_of(Kind::kLayer, d));
  expect_equals_float64(GetParam(), run_of(Kind::kLayerWithBias, 130));
}

INSTANTIATE_TEST_SUITE_P(All, Norms, ::testing::ValuesIn(all_settings()), setting_name);

TEST(Norms, StatisticsInTheComputeDtype) {
  expect_reductions_in_compute_dtype(run_of(Kind::kRms, 130));
  expect_reductions_in_compute_dtype(run_of(Kind::kLayerWithBias, 130));
}

TEST(Norms, ReferenceMatchesThePapers) {
  const at::Tensor x = numbers({7, 12}, 1) + 0.3;
  const Weight scale = weight_of(numbers({12}, 2), exact()),
               bias = weight_of(numbers({12}, 3), exact());
  const at::Tensor rms = x / at::sqrt(x.square().sum(-1, true) / 12 + 1e-6) * scale.value;
  expect_close(rms_norm(x, scale, 1e-6, at::kDouble, exact().context()), rms, 1e-13, "rms_norm");
  expect_close(layer_norm(x, scale, &bias, 1e-6, at::kDouble, exact().context()),
               at::layer_norm(x, {12}, scale.value, bias.value, 1e-6), 1e-13, "layer_norm");
  const auto f = [](const std::vector<at::Tensor>& in) {
    return rms_norm(in[0], {in[1], in[1]}, 1e-6, at::kDouble, exact().context()) *
           layer_norm(in[0], {in[1], in[1]}, nullptr, 1e-6, at::kDouble, exact().context());
  };
  expect_finite_difference_gradients(f, {x, numbers({12}, 5)});
}

TEST(Norms, GradientsDoNotDependOnTheNumberOfThreads) {
  const int threads = at::get_num_threads();
  std::vector<std::vector<at::Tensor>> results;
  for (const int n : {1, 2, 3}) {
    at::set_num_threads(n);
    results.push_back(run_of(Kind::kLayerWithBias, 130)(Setting{}));
  }
  at::set_num_threads(threads);
  for (std::size_t i = 0; i < results[0].size(); ++i) {
    EXPECT_TRUE(at::equal(results[0][i], results[1][i]));
    EXPECT_TRUE(at::equal(results[0][i], results[2][i]));
  }
}

TEST(Norms, RejectsAScaleOfAnotherWidth) {
  EXPECT_ANY_THROW(rms_norm(at::zeros({2, 4}), weight_of(numbers({5}, 1), Setting{}), 1e-6,
                            at::kFloat, Context{}));
}

}  // namespace
}  // namespace sluice::ops::test
