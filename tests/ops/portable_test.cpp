#include "ops/portable.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/machine.h"
#include "ops/ordered_product.h"

namespace sluice::ops {
namespace {

at::Tensor matrix(std::int64_t rows, std::int64_t columns, bool transposed) {
  return transposed ? at::randn({columns, rows}).t() : at::randn({rows, columns});
}

// One fused multiply-add per term, in the order of k.
at::Tensor chain(const at::Tensor& c, const at::Tensor& a, const at::Tensor& b, bool add) {
  const at::Tensor result = add ? c.clone() : at::zeros_like(c);
  auto to = result.accessor<float, 2>();
  const auto from_a = a.accessor<float, 2>(), from_b = b.accessor<float, 2>();
  for (std::int64_t m = 0; m < c.size(0); ++m)
    for (std::int64_t n = 0; n < c.size(1); ++n)
      for (std::int64_t k = 0; k < a.size(1); ++k)
        to[m][n] = std::fma(from_a[m][k], from_b[k][n], to[m][n]);
  return result;
}

TEST(OrderedProduct, IsOneChainOfMultiplyAddsForAnyShapeAndNumberOfThreads) {
  if (!machine().avx2) GTEST_SKIP() << "needs AVX2 and FMA";
  const int threads_before = at::get_num_threads();
  const std::vector<std::vector<std::int64_t>> shapes = {
      {1, 1, 1},     {2, 5, 3},      {7, 17, 300}, {64, 16, 256},
      {130, 70, 33}, {33, 270, 520}, {300, 9, 8}};
  for (const auto& shape : shapes) {
    const std::int64_t M = shape[0], N = shape[1], K = shape[2];
    for (const bool transposed_a : {false, true})
      for (const bool transposed_b : {false, true})
        for (const bool add : {false, true}) {
          const at::Tensor a = matrix(M, K, transposed_a), b = matrix(K, N, transposed_b);
          // rows with a gap
          const at::Tensor c = at::randn({M, N + 3}).narrow(1, 0, N);
          const at::Tensor expected = chain(c, a, b, add);
          for (const int threads : {1, 2, 3}) {
            at::set_num_threads(threads);
            const at::Tensor got = c.clone();
            ordered_product(got, a, b, add);
            EXPECT_TRUE(at::equal(got, expected)) << M << " " << N << " " << K;
          }
        }
  }
  at::set_num_threads(threads_before);
}

// Only where LibTorch has chosen its kernels for AVX2: the ctest entry ops.portable sees to this.
class PortableArithmetic : public ::testing::Test {
 protected:
  void SetUp() override {
    if (at::get_cpu_capability() != "AVX2")
      GTEST_SKIP() << "LibTorch has kernels for " << at::get_cpu_capability();
    use_portable_arithmetic(true);
  }
  void TearDown() override { use_portable_arithmetic(false); }
};

TEST_F(PortableArithmetic, MatmulHasTheValuesAndGradientsOfAtMatmul) {
  for (const auto& [batch_a, batch_b] :
       std::vector<std::pair<std::vector<std::int64_t>, std::vector<std::int64_t>>>{
           {{}, {}}, {{3}, {3}}, {{2, 3, 4}, {2, 3, 1}}, {{2, 1}, {1, 5}}}) {
    std::vector<std::int64_t> shape_a = batch_a, shape_b = batch_b;
    shape_a.insert(shape_a.end(), {6, 19});
    shape_b.insert(shape_b.end(), {19, 11});
    const at::Tensor a = at::randn(shape_a).requires_grad_(),
                     b = at::randn(shape_b).requires_grad_();
    const at::Tensor double_a = a.detach().to(at::kDouble).requires_grad_(),
                     double_b = b.detach().to(at::kDouble).requires_grad_();
    const at::Tensor got = portable_matmul(a, b), expected = at::matmul(double_a, double_b);
    EXPECT_TRUE(at::allclose(got.to(at::kDouble), expected, 1e-5, 1e-5));
    const at::Tensor dy = at::randn(got.sizes());
    got.backward(dy);
    expected.backward(dy.to(at::kDouble));
    EXPECT_TRUE(at::allclose(a.grad().to(at::kDouble), double_a.grad(), 1e-5, 1e-5));
    EXPECT_TRUE(at::allclose(b.grad().to(at::kDouble), double_b.grad(), 1e-5, 1e-5));
  }
}

TEST_F(PortableArithmetic, SoftmaxHasTheValuesAndGradientsOfAtSoftmax) {
  const int threads_before = at::get_num_threads();
  at::Tensor scores = at::randn({40, 7, 33}).mul_(5);
  scores.select(2, 32).fill_(-std::numeric_limits<float>::infinity());  // masked
  const at::Tensor dy = at::randn(scores.sizes());
  std::vector<at::Tensor> gradients;
  for (const int threads : {1, 2, 3}) {
    at::set_num_threads(threads);
    const at::Tensor x = scores.clone().requires_grad_(),
                     precise = scores.to(at::kDouble).requires_grad_();
    const at::Tensor y = portable_softmax(x), expected = at::softmax(precise, -1);
    EXPECT_TRUE(at::allclose(y.to(at::kDouble), expected, 1e-5, 1e-7));
    y.backward(dy);
    expected.backward(dy.to(at::kDouble));
    EXPECT_TRUE(at::allclose(x.grad().to(at::kDouble), precise.grad(), 1e-4, 1e-6));
    gradients.push_back(x.grad());
    EXPECT_TRUE(at::equal(gradients[0], x.grad()));
  }
  at::set_num_threads(threads_before);
}

TEST_F(PortableArithmetic, SumsColumnsInTheOrderOfRows) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const at::Tensor x = at::randn({333, 130}).to(type), values = x.to(at::kFloat);
    at::Tensor expected = at::zeros({130});
    for (std::int64_t n = 0; n < x.size(0); ++n) expected = expected + values[n];
    EXPECT_TRUE(at::equal(ordered_column_sums(x), expected));
  }
}

TEST_F(PortableArithmetic, SumsAreInOrderForAnyNumberOfThreads) {
  const at::Tensor x = at::randn({3, 70'001}, at::kDouble).t();
  double expected = 0;
  const auto value = x.accessor<double, 2>();
  for (std::int64_t i = 0; i < x.size(0); ++i)
    for (std::int64_t j = 0; j < x.size(1); ++j) expected += value[i][j];
  const int threads_before = at::get_num_threads();
  for (const int threads : {1, 3}) {
    at::set_num_threads(threads);
    EXPECT_EQ(ordered_sum(x).item<double>(), expected);
  }
  at::set_num_threads(threads_before);
}

}  // namespace
}  // namespace sluice::ops
