#include "ops/product_rate.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "base/clock.h"

namespace sluice::ops {
namespace {

TEST(ProductRate, IsPlausible) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const double rate = measure_product_rate(dtype, 0.02).value();
    EXPECT_GT(rate, 1e8) << dtype;
    EXPECT_LT(rate, 1e15) << dtype;
  }
}

// A device that the host has to wait for.
TEST(ProductRate, CountsTheTimeUntilTheDeviceHasFinished) {
  constexpr double kDevice_s = 0.004;
  int num_waits = 0;
  const ProductMeasurement measurement{
      .dtype = at::kFloat,
      .size = {.rows = 16, .inner = 8, .columns = 4},
      .seconds = 0.02,
      .synchronize = [&] {
        ++num_waits;
        std::this_thread::sleep_for(std::chrono::duration<double>(kDevice_s));
      }};
  EXPECT_EQ(measurement.size.flops(), 2.0 * 16 * 8 * 4);
  const double rate = measure_product_rate(measurement);
  // At most 16 products are started before a wait.
  EXPECT_LE(rate, 16 * measurement.size.flops() / kDevice_s);
  EXPECT_GE(num_waits, 6);
  EXPECT_EQ(num_waits % 2, 0);
}

TEST(ProductRate, NamesTheProduct) {
  EXPECT_EQ(describe_product(at::kFloat, at::kCPU), "fp32 product [2048, 512] x [512, 1024]");
  EXPECT_EQ(describe_product(at::kBFloat16, at::kCUDA), "bf16 product [4096, 4096] x [4096, 4096]");
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
