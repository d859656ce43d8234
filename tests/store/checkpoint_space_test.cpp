#include "store/checkpoint_space.h"

#include <gtest/gtest.h>

#include <limits>

namespace sluice::store {
namespace {

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

TEST(CheckpointSpace, CountsAtMostTheCheckpointsSaved) {
  struct Case {
    CheckpointConfig config;
    std::optional<std::int64_t> steps;
    std::uint64_t expected;
  };
  const Case cases[] = {
      // two, the best, the one being written
      {{.every_steps = 10, .keep_last = 2, .keep_best = true}, 1000, 4},
      {{.every_steps = 10, .keep_last = 2, .keep_best = false}, 1000, 3},
      // steps 0, 10, 20, 30
      {{.every_steps = 10, .keep_last = 1'000'000, .keep_best = true}, 30, 4},
      {{.every_steps = 10, .keep_last = 1'000'000, .keep_best = true}, 31, 5},
      {{.every_steps = 200, .keep_last = kMost, .keep_best = true}, 5, 2},
      {{.every_steps = kMost, .keep_last = kMost, .keep_best = true}, kMost, 2},
      {{.every_steps = 1, .keep_last = kMost, .keep_best = true},
       std::nullopt,
       static_cast<std::uint64_t>(kMost) + 2},
  };
  for (const Case& one : cases)
    EXPECT_EQ(checkpoints_at_once(one.config, one.steps), one.expected) << one.config.keep_last;
}

TEST(CheckpointSpace, ProductSaturatesOnOverflow) {
  constexpr std::uint64_t kLargest = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(saturating_product(3, 5), 15u);
  EXPECT_EQ(saturating_product(0, kLargest), 0u);
  EXPECT_EQ(saturating_product(kLargest, 1), kLargest);
  EXPECT_EQ(saturating_product(std::uint64_t{1} << 32, std::uint64_t{1} << 32), kLargest);
}

}  // namespace
}  // namespace sluice::store
