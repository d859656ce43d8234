#include "ops/product_rate.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/clock.h"

namespace sluice::ops {
namespace {

TEST(ProductRate, IsPlausible) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const double rate = measure_product_rate(dtype, 0.02);
    EXPECT_GT(rate, 1e8) << dtype;
    EXPECT_LT(rate, 1e15) << dtype;
  }
}

TEST(ProductRate, DrawsNoRandomNumbers) {
  at::manual_seed(5);
  const at::Tensor expected = at::rand({4});
  at::manual_seed(5);
  measure_product_rate(at::kFloat, 0.01);
  EXPECT_TRUE(at::equal(at::rand({4}), expected));
}

TEST(ProductRate, RespectsTheTimeBudget) {
  const double begin_s = monotonic_s();
  measure_product_rate(at::kFloat, 0.05);
  EXPECT_LT(monotonic_s() - begin_s, 2.0);
}

}  // namespace
}  // namespace sluice::ops
