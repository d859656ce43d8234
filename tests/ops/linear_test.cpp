#include "ops/linear.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "ops/matrix_product.h"
#include "ops/tiled_product.h"
#include "ops/widened_product.h"
#include "tests/ops/settings.h"

namespace sluice::ops::test {
namespace {

class Linear : public ::testing::TestWithParam<Setting> {};

struct LinearSizes {
  std::int64_t rows, in, out;
};

Run run_of(LinearSizes size, bool with_bias) {
  return [=](const Setting& setting) {
    const at::Tensor x = leaf(numbers({2, size.rows, size.in}, 1), setting, setting.dtype);
    const Weight weight = weight_of(numbers({size.out, size.in}, 2), setting),
                 bias = weight_of(numbers({size.out}, 3), setting);
    const at::Tensor y = linear(x, weight, with_bias ? &bias : nullptr, setting.context());
    EXPECT_EQ(y.scalar_type(), setting.dtype);
    y.backward(numbers(y.sizes().vec(), 4).to(y.options()));
    std::vector<at::Tensor> all{y, x.grad(), weight.value.grad()};
    if (with_bias) all.push_back(bias.value.grad());
    return all;
  };
}

// Few rows, partial tiles, and sizes above one tile in every dimension.
TEST_P(Linear, EqualsFloat64) {
  for (const LinearSizes size : {LinearSizes{1, 5, 3}, LinearSizes{97, 40, 72},
                                 LinearSizes{150, 130, 200}, LinearSizes{70, 600, 70}})
    for (const bool with_bias : {false, true})
      expect_equals_float64(GetParam(), run_of(size, with_bias));
}

TEST_P(Linear, GradientsAccumulateInPlace) {
  const Setting& setting = GetParam();
  const Weight weight = weight_of(numbers({64, 32}, 2), setting);
  const void* memory = weight.value.grad().data_ptr();
  const auto backward = [&] {
    const at::Tensor y = linear(numbers({200, 32}, 1).to(weight.compute.options()), weight, nullptr,
                                setting.context());
    y.backward(numbers({200, 64}, 4).to(y.options()));
    return weight.value.grad().clone();
  };
  const at::Tensor once = backward(), twice = backward();
  expect_close(twice, 2 * once, tolerance(setting.dtype), "sum of two passes");
  EXPECT_EQ(weight.value.grad().data_ptr(), memory);
}

TEST_P(Linear, IsRepeatable) {
  const auto run = run_of({300, 130, 200}, true);
  const std::vector<at::Tensor> first = run(GetParam()), second = run(GetParam());
  for (std::size_t i = 0; i < first.size(); ++i) EXPECT_TRUE(at::equal(first[i], second[i]));
}

INSTANTIATE_TEST_SUITE_P(All, Linear, ::testing::ValuesIn(all_settings()), setting_name);

TEST(Linear, ReferenceIsTheTextbookFormula) {
  const at::Tensor x = numbers({4, 3}, 1);
  const Weight weight = weight_of(numbers({2, 3}, 2), exact()),
               bias = weight_of(numbers({2}, 3), exact());
  const at::Tensor y = linear(x, weight, &bias, exact().context());
  for (std::int64_t n = 0; n < 4; ++n)
    for (std::int64_t o = 0; o < 2; ++o)
      EXPECT_NEAR(y[n][o].item<double>(),
                  (x[n] * weight.value[o]).sum().item<double>() + bias.value[o].item<double>(),
                  1e-13);
}

// Tested explicitly, because linear() does not use the tile kernel on machines where MKL is faster.
TEST(TiledProduct, EqualsFloat64ForAnyNumberOfThreads) {
  const int threads = at::get_num_threads();
  for (const LinearSizes size :
       {LinearSizes{128, 16, 16}, LinearSizes{300, 530, 130}, LinearSizes{600, 64, 150}}) {
    const at::Tensor x = numbers({size.rows, size.in}, 1), w = numbers({size.out, size.in}, 2),
                     dy = numbers({size.rows, size.out}, 3);
    std::vector<at::Tensor> before;
    for (const int n : {1, 2, 3}) {
      at::set_num_threads(n);
      const at::Tensor y = at::empty({size.rows, size.out}), dx = at::empty({size.rows, size.in}),
                       dw = at::ones({size.out, size.in});
      tiled_forward_product(y, x.to(at::kFloat), w.to(at::kFloat));
      tiled_data_gradient(dx, dy.to(at::kFloat), w.to(at::kFloat));
      tiled_add_weight_gradient(dw, dy.to(at::kFloat), x.to(at::kFloat));
      expect_close(y, x.mm(w.t()), tolerance(at::kFloat), "forward");
      expect_close(dx, dy.mm(w), tolerance(at::kFloat), "data gradient");
      expect_close(dw, dy.t().mm(x) + 1, tolerance(at::kFloat), "weight gradient");
      const std::vector<at::Tensor> now{y, dx, dw};
      for (std::size_t i = 0; i < before.size(); ++i)
        EXPECT_TRUE(at::equal(now[i], before[i])) << n << " threads";
      before = now;
    }
  }
  at::set_num_threads(threads);
}

// Tested explicitly, because linear() widens only on CPUs without bf16 in hardware. The numbers are
// exact in bf16; 900 rows of 4,100 columns are two by three blocks.
TEST(WidenedProduct, IsTheFp32ProductRoundedOnce) {
  for (const LinearSizes size : {LinearSizes{3, 16, 5}, LinearSizes{900, 30, 4100}}) {
    const at::Tensor x = numbers({size.rows, size.in}, 1), w = numbers({size.out, size.in}, 2),
                     dy = numbers({size.rows, size.out}, 3);
    const auto narrow = [](const at::Tensor& t) { return t.to(at::kBFloat16); };
    const at::Tensor y = narrow(at::empty({size.rows, size.out})),
                     dx = narrow(at::empty({size.rows, size.in})),
                     dw = at::ones({size.out, size.in});
    widened_forward_product(y, narrow(x), narrow(w));
    widened_data_gradient(dx, narrow(dy), narrow(w));
    widened_add_weight_gradient(dw, narrow(dy), narrow(x));
    // Half a unit in the last place of bf16, and the rounding of the fp32 sums.
    const auto expect_rounded_once = [](const at::Tensor& actual, const at::Tensor& exact) {
      const at::Tensor error = (actual.to(at::kDouble) - exact).abs();
      EXPECT_TRUE(error.le(exact.abs() * 0x1p-8 + 1e-4).all().item<bool>())
          << error.max().item<double>();
    };
    expect_rounded_once(y, x.mm(w.t()));
    expect_rounded_once(dx, dy.mm(w));
    expect_close(dw, dy.t().mm(x) + 1, tolerance(at::kFloat), "weight gradient");
  }
}

// The same bits for any division into tiles, and those of a chain of fused multiply-adds.
TEST(TileKernel, AddsInTheOrderOfK) {
  std::vector<TileKernel> kernels{kBaselineTileKernel};
  if (machine().avx2) kernels.push_back(kAvx2TileKernel);
  constexpr std::int64_t M = 13, N = 150, K = 301;
  const at::Tensor a = at::randn({M, K}), b = at::randn({K, N}), start = at::randn({M, N});
  const auto *from_a = a.const_data_ptr<float>(), *from_b = b.const_data_ptr<float>();
  for (const TileKernel kernel : kernels) {
    const bool fused = kernel != kBaselineTileKernel;
    for (const bool add : {false, true}) {
      at::Tensor expected = add ? start.clone() : at::zeros({M, N});
      auto* to = expected.mutable_data_ptr<float>();
      for (std::int64_t m = 0; m < M; ++m)
        for (std::int64_t n = 0; n < N; ++n)
          for (std::int64_t k = 0; k < K; ++k) {
            const float x = from_a[m * K + k], y = from_b[k * N + n];
            const volatile float product = x * y;  // rounded
            float& sum = to[m * N + n];
            sum = fused ? std::fma(x, y, sum) : sum + product;
          }
      const at::Tensor whole = start.clone(), parts = start.clone();
      kernel({M, N, K, K, N, N}, from_a, from_b, whole.mutable_data_ptr<float>(), add);
      EXPECT_TRUE(at::equal(whole, expected)) << "fused " << fused << " add " << add;
      for (std::int64_t n = 0; n < N; n += 50)
        for (std::int64_t k = 0; k < K; k += 100)
          kernel({M, 50, std::min<std::int64_t>(100, K - k), K, N, N}, from_a + k,
                 from_b + k * N + n, parts.mutable_data_ptr<float>() + n, add || k > 0);
      EXPECT_TRUE(at::equal(parts, expected)) << "in parts, fused " << fused;
    }
  }
}

TEST(Linear, RejectsWrongShapesAndTypes) {
  const Weight weight = weight_of(numbers({4, 3}, 1), Setting{}),
               bias = weight_of(numbers({3}, 1), Setting{});
  EXPECT_ANY_THROW(linear(at::zeros({2, 4}), weight, nullptr, Context{}));
  EXPECT_ANY_THROW(linear(at::zeros({2, 3}, at::kBFloat16), weight, nullptr, Context{}));
  EXPECT_ANY_THROW(linear(at::zeros({2, 3}), weight, &bias, Context{}));
}

}  // namespace
}  // namespace sluice::ops::test
