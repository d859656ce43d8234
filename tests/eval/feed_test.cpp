#include "eval/feed.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace sluice::eval {
namespace {

std::vector<at::Device> devices() {
  std::vector<at::Device> all{at::kCPU};
  if (at::hasCUDA()) all.emplace_back(at::kCUDA, 0);
  return all;
}

TEST(Feed, KeepsTokensAndIgnoredTargets) {
  const data::Batch batch{.num_sequences = 2,
                          .input_length = 3,
                          .target_length = 3,
                          .inputs = {1, 2, 3, 70000, 5, 6},
                          .targets = {2, 3, data::kIgnoredTarget, 5, 6, 7},
                          .num_targets = 5};
  for (const at::Device device : devices()) {
    const model::Batch fed = to_device(batch, device);
    EXPECT_EQ(fed.inputs_BT.device().type(), device.type());
    const std::vector<std::int64_t> inputs{1, 2, 3, 70000, 5, 6}, targets{2, 3, -1, 5, 6, 7};
    EXPECT_TRUE(at::equal(fed.inputs_BT.cpu(), at::tensor(inputs).view({2, 3})));
    EXPECT_TRUE(at::equal(fed.targets_BT.cpu(), at::tensor(targets).view({2, 3})));
    EXPECT_EQ(fed.inputs_BT.scalar_type(), at::kLong);
  }
}

TEST(Feed, RejectsABatchOfInconsistentSize) {
  EXPECT_THROW(to_device({.num_sequences = 2,
                          .input_length = 3,
                          .target_length = 3,
                          .inputs = {1},
                          .targets = {2},
                          .num_targets = 1},
                         at::kCPU),
               InvariantError);
}

}  // namespace
}  // namespace sluice::eval
