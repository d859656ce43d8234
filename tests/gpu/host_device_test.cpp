#include "tests/gpu/host_device.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "tests/gpu/test_program.h"

namespace sluice::gpu::test {
namespace {

std::vector<float> counted(std::size_t n) {
  std::vector<float> x(n);
  std::iota(x.begin(), x.end(), 1.0f);
  return x;
}

TEST(HostDevice, RunsEveryThreadOfAGrid) {
  HostDevice device;
  const std::vector<float> x = counted(300);
  std::vector<float> y(300);
  launch(device, test_kernel("scale"), {.x = 3, .threads = 128}, x.data(), y.data(),
         std::int64_t{300}, 2.0f);
  for (std::size_t i = 0; i < y.size(); ++i) EXPECT_EQ(y[i], 2 * x[i] + 1) << i;
  ASSERT_EQ(device.launches().size(), 1u);
  EXPECT_EQ(device.launches()[0].entry, "scale");
  EXPECT_EQ(device.launches()[0].grid.x, 3);
}

TEST(HostDevice, SettingsMakeAnotherProgram) {
  HostDevice device;
  const float x = 3;
  float y[2] = {};
  for (int i = 0; i < 2; ++i)
    launch(
        device,
        test_kernel("scale", i == 0 ? "constexpr float shift = 1;" : "constexpr float shift = 2;"),
        {.threads = 128}, &x, &y[i], std::int64_t{1}, 1.0f);
  EXPECT_EQ(y[0], 4);
  EXPECT_EQ(y[1], 5);
}

TEST(HostDevice, ThreadsOfABlockWaitForEachOther) {
  for (const auto order : {HostDevice::Order::kAscending, HostDevice::Order::kDescending}) {
    HostDevice device(order);
    const std::vector<float> x = counted(100);
    float y[2] = {};
    launch(device, test_kernel("sums"), {.x = 2, .threads = 64}, x.data(), &y[0],
           std::int64_t{100});
    EXPECT_EQ(y[0], 3 * 64 * 65 / 2);
    EXPECT_EQ(y[1], 3 * (100 * 101 - 64 * 65) / 2);
  }
}

TEST(HostDevice, OrderRevealsAMissingBarrier) {
  std::vector<std::vector<float>> results;
  for (const auto order : {HostDevice::Order::kAscending, HostDevice::Order::kDescending}) {
    HostDevice device(order);
    launch(device, test_kernel("race"), {.threads = 64}, results.emplace_back(64).data());
  }
  EXPECT_NE(results[0], results[1]);
}

TEST(HostDevice, PositionsOfBlocks) {
  HostDevice device;
  std::vector<float> y(12);
  launch(device, test_kernel("positions"), {.x = 3, .y = 2, .z = 2, .threads = 32}, y.data(), 0.5);
  std::vector<float> want;
  for (int z = 0; z < 2; ++z)
    for (int row = 0; row < 2; ++row)
      for (int x = 0; x < 3; ++x) want.push_back(static_cast<float>(100 * z + 10 * row + x) + 0.5f);
  EXPECT_EQ(y, want);
}

TEST(HostDevice, RoundsToBf16) {
  HostDevice device;
  std::vector<float> x(32, 1.0f), z(32);
  x[1] = 1.00390625f;  // half way, to even: down
  x[2] = 1.01171875f;  // half way, to even: up
  x[3] = -1.005f;
  x[4] = INFINITY;
  x[5] = NAN;
  std::vector<std::uint16_t> y(32);
  launch(device, test_kernel("roundings"), {.threads = 32}, x.data(), y.data(), z.data());
  EXPECT_EQ(z[0], 1.0f);
  EXPECT_EQ(z[1], 1.0f);
  EXPECT_EQ(z[2], 1.015625f);
  EXPECT_EQ(z[3], -1.0078125f);
  EXPECT_EQ(z[4], INFINITY);
  EXPECT_TRUE(std::isnan(z[5]));
}

TEST(HostDevice, MultipliesMatrices) {
  HostDevice device;
  // Small integers, exact in bf16.
  const auto number = [](int i) { return static_cast<float>(i * 7 % 23 - 11); };
  const auto bits = [](float x) {
    return static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(x) >> 16);
  };
  alignas(16) std::uint16_t a[256], b[128];
  for (int i = 0; i < 256; ++i) a[i] = bits(number(i));
  for (int i = 0; i < 128; ++i) b[i] = bits(number(i + 500));
  for (const std::int64_t missing : {0, 3}) {
    float c[128];
    const std::uint16_t *pa = a, *pb = b;
    launch(device, test_kernel("matrices"), {.threads = 32, .shared_bytes = 768}, pa, pb, &c[0],
           missing);
    for (int row = 0; row < 16; ++row)
      for (int column = 0; column < 8; ++column) {
        float want = 1;
        for (int k = 0; k < 16 && column < 8 - missing; ++k)
          want += number(16 * row + k) * number(16 * column + k + 500);
        EXPECT_EQ(c[8 * row + column], want) << row << " " << column;
      }
  }
}

TEST(HostDevice, RejectsWrongCalls) {
  HostDevice device;
  float y[64];
  EXPECT_THROW(launch(device, test_kernel("scale"), {.threads = 128}, &y[0]), InvariantError);
  EXPECT_THROW(launch(device, test_kernel("positions"), {.threads = 32}, &y[0], 1.0f),
               InvariantError);
  EXPECT_THROW(launch(device, test_kernel("positions"), {.threads = 64}, &y[0], 1.0),
               InvariantError);
  EXPECT_THROW(launch(device, test_kernel("missing"), {.threads = 32}, &y[0]), InvariantError);
  EXPECT_THROW(launch(device, test_kernel("divergent"), {.threads = 64}, &y[0]), InvariantError);
  EXPECT_THROW(launch(device, test_kernel("scale", "not C++"), {.threads = 32}, &y[0]),
               InvariantError);
}

}  // namespace
}  // namespace sluice::gpu::test
