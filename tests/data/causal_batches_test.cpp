#include "data/causal_batches.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "base/random.h"
#include "tests/text/text_support.h"

namespace sluice::data {
namespace {

using sluice::testing::message_of;

TokenStream counting_stream(std::int32_t num_tokens) {
  std::vector<std::int32_t> ids(static_cast<std::size_t>(num_tokens));
  std::iota(ids.begin(), ids.end(), 0);
  return TokenStream(std::move(ids));
}

class Permutation : public ::testing::TestWithParam<std::uint64_t> {};
INSTANTIATE_TEST_SUITE_P(Sizes, Permutation,
                         ::testing::Values(1, 2, 3, 4, 5, 7, 16, 17, 63, 64, 65, 255, 256, 257, 1000, 4096, 4097, 65537, 100'003));

TEST_P(Permutation, HitsEveryPlaceOnce) {
  const std::uint64_t size = GetParam();
  for (const std::uint64_t key : {std::uint64_t{0}, std::uint64_t{1}, ~std::uint64_t{0}, random_key(7, "test")}) {
    const KeyedPermutation permutation(size, key);
    std::vector<bool> hit(size, false);
    for (std::uint64_t i = 0; i < size; ++i) {
      const std::uint64_t place = permutation(i);
      ASSERT_LT(place, size);
      ASSERT_FALSE(hit[place]) << "size " << size << ", key " << key;
      hit[place] = true;
    }
  }
}

TEST(KeyedPermutation, LargeSizesStayInsideAndDoNotCollide) {
  for (const std::uint64_t size :
       {(std::uint64_t{1} << 32) + 15, (std::uint64_t{1} << 40) - 1, (std::uint64_t{1} << 62) + 1, ~std::uint64_t{0}}) {
    const KeyedPermutation permutation(size, 99);
    std::set<std::uint64_t> seen;
    for (std::uint64_t i = 0; i < 5000; ++i) {
      for (const std::uint64_t index : {i, size - 1 - i, size / 2 + i}) {
        const std::uint64_t place = permutation(index);
        ASSERT_LT(place, size);
        ASSERT_TRUE(seen.insert(place).second);
      }
    }
  }
}

// Over many keys every element is equally often at every place. Chi-square: mean d, deviation sqrt(2d) for d degrees of freedom; the
// keys are fixed, so that the test gives the same result for ever.
TEST(KeyedPermutation, LooksUniform) {
  for (const std::uint64_t size : {2, 3, 5, 12}) {
    constexpr int kKeys = 12'000;
    std::vector<int> counts(size * size, 0);
    for (int key = 0; key < kKeys; ++key) {
      const KeyedPermutation permutation(size, random_key(static_cast<std::uint64_t>(key), "order"));
      for (std::uint64_t i = 0; i < size; ++i) counts[i * size + permutation(i)] += 1;
    }
    const double expected = static_cast<double>(kKeys) / static_cast<double>(size);
    double chi_square = 0;
    for (const int count : counts) chi_square += (count - expected) * (count - expected) / expected;
    const double degrees = static_cast<double>((size - 1) * (size - 1));
    EXPECT_LT(chi_square, degrees + 4 * std::sqrt(2 * degrees) + 4) << size;
  }
}

// All six orders of three elements come up, equally often.
TEST(KeyedPermutation, EveryOrderOfThree) {
  std::map<std::array<std::uint64_t, 3>, int> counts;
  constexpr int kKeys = 6000;
  for (int key = 0; key < kKeys; ++key) {
    const KeyedPermutation permutation(3, random_key(static_cast<std::uint64_t>(key), "order"));
    counts[{permutation(0), permutation(1), permutation(2)}] += 1;
  }
  ASSERT_EQ(counts.size(), 6U);
  double chi_square = 0;
  for (const auto& [order, count] : counts) chi_square += (count - 1000.0) * (count - 1000.0) / 1000.0;
  EXPECT_LT(chi_square, 20.5);  // 5 degrees of freedom: the 99.9 % point
}

TEST(KeyedPermutation, NeighboursAreSpread) {
  constexpr std::uint64_t kSize = 10'000;
  const KeyedPermutation permutation(kSize, 5);
  double sum = 0;
  for (std::uint64_t i = 0; i + 1 < kSize; ++i)
    sum += std::fabs(static_cast<double>(permutation(i)) - static_cast<double>(permutation(i + 1)));
  EXPECT_NEAR(sum / (kSize - 1), kSize / 3.0, 100);  // mean distance of two uniform draws
}

TEST(CausalBatches, WindowsPredictTheNextToken) {
  const TokenStream stream = counting_stream(1000);
  const CausalBatches batches(stream, {.seed = 3, .batch_sequences = 4, .sequence_length = 16});
  EXPECT_EQ(batches.windows_per_epoch(), 62U);  // 62·16 + 1 = 993
  EXPECT_EQ(batches.num_dropped_tokens(), 7U);
  const Batch batch = batches.batch(0);
  EXPECT_EQ(batch.num_sequences, 4);
  EXPECT_EQ(batch.num_targets, 64);
  for (std::size_t i = 0; i < batch.inputs.size(); ++i) EXPECT_EQ(batch.targets[i], batch.inputs[i] + 1);
  for (std::size_t row = 0; row < 4; ++row) {
    const auto first = static_cast<std::uint64_t>(batch.inputs[row * 16]);
    EXPECT_EQ(first, 16 * batches.window_at(0, static_cast<std::int64_t>(row)));
    for (std::size_t t = 1; t < 16; ++t) EXPECT_EQ(batch.inputs[row * 16 + t], batch.inputs[row * 16] + static_cast<std::int32_t>(t));
  }
}

TEST(CausalBatches, EveryTargetOncePerEpochAlsoAcrossSteps) {
  const TokenStream stream = counting_stream(331);
  for (const std::int64_t rows : {1, 4, 7, 33, 50, 200}) {
    const CausalBatches batches(stream, {.seed = 1, .batch_sequences = rows, .sequence_length = 10});
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
      for (int i = 0; i < 330; ++i) ASSERT_EQ(one[static_cast<std::size_t>(i)], i + 1) << "rows " << rows << ", epoch " << epoch;
    }
  }
}

TEST(CausalBatches, OrderDependsOnSeedAndEpochAlone) {
  const TokenStream stream = counting_stream(10'001);
  const auto order = [&](std::uint64_t seed, std::int64_t rows, std::uint64_t epoch) {
    const CausalBatches batches(stream, {.seed = seed, .batch_sequences = rows, .sequence_length = 10});
    std::vector<std::uint64_t> windows;
    for (std::uint64_t i = 1000 * epoch; i < 1000 * (epoch + 1); ++i) {
      windows.push_back(
          batches.window_at(i / static_cast<std::uint64_t>(rows), static_cast<std::int64_t>(i % static_cast<std::uint64_t>(rows))));
    }
    return windows;
  };
  EXPECT_EQ(order(1, 4, 0), order(1, 10, 0));
  EXPECT_NE(order(1, 4, 0), order(1, 4, 1));
  EXPECT_NE(order(1, 4, 0), order(2, 4, 0));
  EXPECT_NE(order(1, 4, 1), order(2, 4, 0));
}

// The order is a promise: a run that is resumed by a later version sees the same batches.
TEST(CausalBatches, OrderIsFixedForEver) {
  const TokenStream stream = counting_stream(101);
  const CausalBatches batches(stream, {.seed = 1, .batch_sequences = 10, .sequence_length = 10});
  std::vector<std::uint64_t> windows;
  for (std::int64_t row = 0; row < 10; ++row) windows.push_back(batches.window_at(0, row));
  EXPECT_EQ(windows, (std::vector<std::uint64_t>{4, 2, 6, 9, 1, 7, 8, 5, 0, 3}));
}

TEST(CausalBatches, FarStepsCostTheSame) {
  const TokenStream stream = counting_stream(1000);
  const CausalBatches batches(stream, {.seed = 1, .batch_sequences = 8, .sequence_length = 16});
  const Batch batch = batches.batch(1'000'000'000'000);
  EXPECT_EQ(batch.num_targets, 128);
  EXPECT_EQ(batch.inputs, batches.batch(1'000'000'000'000).inputs);
}

TEST(CausalBatches, StreamsShorterThanAWindow) {
  for (const std::int32_t size : {0, 1, 16}) {
    const TokenStream stream = counting_stream(size);
    const std::string message =
        message_of(ExitCode::kBadData, [&] { CausalBatches(stream, {.seed = 1, .batch_sequences = 1, .sequence_length = 16}); });
    EXPECT_NE(message.find("16"), std::string::npos) << message;
  }
  const TokenStream enough = counting_stream(17);
  EXPECT_EQ(CausalBatches(enough, {.seed = 1, .batch_sequences = 3, .sequence_length = 16}).windows_per_epoch(), 1U);
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
