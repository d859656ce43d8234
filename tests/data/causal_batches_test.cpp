#include "data/causal_batches.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "tests/text/text_support.h"

namespace sluice::data {
namespace {

using sluice::testing::message_of;

TokenStream counting_stream(std::int32_t num_tokens) {
  std::vector<std::int32_t> ids(static_cast<std::size_t>(num_tokens));
  std::iota(ids.begin(), ids.end(), 0);
  return TokenStream(std::move(ids));
}

TEST(CausalBatches, WindowsPredictTheNextToken) {
  const TokenStream stream = counting_stream(1000);
  const CausalBatches batches(stream, {.seed = 3, .batch_sequences = 4, .sequence_length = 16});
  EXPECT_EQ(batches.windows_per_epoch(), 62U);  // 62·16 + 1 = 993
  EXPECT_EQ(batches.num_dropped_tokens(), 7U);
  const Batch batch = batches.batch(0);
  EXPECT_EQ(batch.num_sequences, 4);
  EXPECT_EQ(batch.num_targets, 64);
  for (std::size_t i = 0; i < batch.inputs.size(); ++i)
    EXPECT_EQ(batch.targets[i], batch.inputs[i] + 1);
  for (std::size_t row = 0; row < 4; ++row) {
    const auto first = static_cast<std::uint64_t>(batch.inputs[row * 16]);
    EXPECT_EQ(first, 16 * batches.window_at(0, static_cast<std::int64_t>(row)));
    for (std::size_t t = 1; t < 16; ++t)
      EXPECT_EQ(batch.inputs[row * 16 + t], batch.inputs[row * 16] + static_cast<std::int32_t>(t));
  }
}

TEST(CausalBatches, EachTargetOncePerEpochEvenAcrossSteps) {
  const TokenStream stream = counting_stream(331);
  for (const std::int64_t rows : {1, 4, 7, 33, 50, 200}) {
    const CausalBatches batches(stream,
                                {.seed = 1, .batch_sequences = rows, .sequence_length = 10});
    ASSERT_EQ(batches.windows_per_epoch(), 33U);
    std::vector<int> targets;
    for (std::uint64_t step = 0; targets.size() < 3 * 330; ++step) {
      const Batch batch = batches.batch(step);
      targets.insert(targets.end(), batch.targets.begin(), batch.targets.end());
    }
    for (std::size_t epoch = 0; epoch < 3; ++epoch) {
      std::vector<int> one(targets.begin() + static_cast<std::ptrdiff_t>(330 * epoch),
                           targets.begin() + static_cast<std::ptrdiff_t>(330 * (epoch + 1)));
      std::sort(one.begin(), one.end());
      for (int i = 0; i < 330; ++i)
        ASSERT_EQ(one[static_cast<std::size_t>(i)], i + 1)
            << "rows " << rows << ", epoch " << epoch;
    }
  }
}

TEST(CausalBatches, OrderDependsOnlyOnSeedAndEpoch) {
  const TokenStream stream = counting_stream(10'001);
  const auto order = [&](std::uint64_t seed, std::int64_t rows, std::uint64_t epoch) {
    const CausalBatches batches(stream,
                                {.seed = seed, .batch_sequences = rows, .sequence_length = 10});
    std::vector<std::uint64_t> windows;
    for (std::uint64_t i = 1000 * epoch; i < 1000 * (epoch + 1); ++i) {
      windows.push_back(
          batches.window_at(i / static_cast<std::uint64_t>(rows),
                            static_cast<std::int64_t>(i % static_cast<std::uint64_t>(rows))));
    }
    return windows;
  };
  EXPECT_EQ(order(1, 4, 0), order(1, 10, 0));
  EXPECT_NE(order(1, 4, 0), order(1, 4, 1));
  EXPECT_NE(order(1, 4, 0), order(2, 4, 0));
  EXPECT_NE(order(1, 4, 1), order(2, 4, 0));
}

// A run resumed by a later version must see the same batches.
TEST(CausalBatches, OrderIsStableAcrossVersions) {
  const TokenStream stream = counting_stream(101);
  const CausalBatches batches(stream, {.seed = 1, .batch_sequences = 10, .sequence_length = 10});
  std::vector<std::uint64_t> windows;
  for (std::int64_t row = 0; row < 10; ++row) windows.push_back(batches.window_at(0, row));
  EXPECT_EQ(windows, (std::vector<std::uint64_t>{4, 2, 6, 9, 1, 7, 8, 5, 0, 3}));
}

TEST(CausalBatches, DistantStepsCostTheSame) {
  const TokenStream stream = counting_stream(1000);
  const CausalBatches batches(stream, {.seed = 1, .batch_sequences = 8, .sequence_length = 16});
  const Batch batch = batches.batch(1'000'000'000'000);
  EXPECT_EQ(batch.num_targets, 128);
  EXPECT_EQ(batch.inputs, batches.batch(1'000'000'000'000).inputs);
}

TEST(CausalBatches, RejectsStreamsShorterThanAWindow) {
  for (const std::int32_t size : {0, 1, 16}) {
    const TokenStream stream = counting_stream(size);
    const std::string message = message_of(ExitCode::kBadData, [&] {
      CausalBatches(stream, {.seed = 1, .batch_sequences = 1, .sequence_length = 16});
    });
    EXPECT_NE(message.find("16"), std::string::npos) << message;
  }
  const TokenStream enough = counting_stream(17);
  EXPECT_EQ(CausalBatches(enough, {.seed = 1, .batch_sequences = 3, .sequence_length = 16})
                .windows_per_epoch(),
            1U);
}

TEST(Batch, RowsAreMicroBatches) {
  const TokenStream stream = counting_stream(1000);
  const CausalBatches batches(stream, {.seed = 1, .batch_sequences = 6, .sequence_length = 8});
  Batch batch = batches.batch(2);
  batch.targets[9] = kIgnoredTarget;
  const Batch first = batch.rows(0, 2), rest = batch.rows(2, 4);
  EXPECT_EQ(first.num_targets, 15);
  EXPECT_EQ(rest.num_targets, 32);
  auto joined = first.inputs;
  joined.insert(joined.end(), rest.inputs.begin(), rest.inputs.end());
  EXPECT_EQ(joined, batch.inputs);
  EXPECT_THROW(batch.rows(5, 2), InvariantError);
  EXPECT_THROW(batch.rows(-1, 2), InvariantError);
}

}  // namespace
}  // namespace sluice::data
