#include "train/device_sums.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "ops/cuda.h"
#include "tests/dist/processes.h"

namespace sluice::train {
namespace {

// Sums of one process change nothing. Those of several: FakeGpus of app_test.
TEST(DeviceSums, CudaWithOneRank) {
  if (!dist::has_gloo()) GTEST_SKIP() << "built without Gloo's headers";
  if (!ops::gpu_support(c10::kCUDA).usable()) GTEST_SKIP() << "no GPU";
  const ops::DeviceScope scope(c10::kCUDA);
  const cluster::Member alone{.address = "127.0.0.1", .port = dist::testing::free_port()};
  dist::Group group(alone, {.timeout = {20}, .start_timeout = {20}}, {});
  DeviceSums sums(group);
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    const at::Tensor values =
        at::arange(1000, at::TensorOptions().device(c10::kCUDA).dtype(type)).sin();
    const at::Tensor sum = values.clone();
    sums.add_all(sum);
    EXPECT_TRUE(at::equal(sum.to(at::kCPU), values.to(at::kCPU)));
  }
}

}  // namespace
}  // namespace sluice::train
