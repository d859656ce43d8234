#include "data/window_order.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <map>
#include <set>
#include <vector>

#include "base/random.h"

namespace sluice::data {
namespace {

class Permutation : public ::testing::TestWithParam<std::uint64_t> {};
INSTANTIATE_TEST_SUITE_P(Sizes, Permutation,
                         ::testing::Values(1, 2, 3, 4, 5, 7, 16, 17, 63, 64, 65, 255, 256, 257,
                                           1000, 4096, 4097, 65537, 100'003));

TEST_P(Permutation, VisitsEveryIndexOnce) {
  const std::uint64_t size = GetParam();
  for (const std::uint64_t key :
       {std::uint64_t{0}, std::uint64_t{1}, ~std::uint64_t{0}, random_key(7, "test")}) {
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

TEST(KeyedPermutation, LargeSizesStayInRangeWithoutCollisions) {
  for (const std::uint64_t size : {(std::uint64_t{1} << 32) + 15, (std::uint64_t{1} << 40) - 1,
                                   (std::uint64_t{1} << 62) + 1, ~std::uint64_t{0}}) {
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

// Over many keys, every element is equally likely at every position. Chi-square: mean d, standard
// deviation sqrt(2d) for d degrees of freedom. Fixed keys make the test deterministic.
TEST(KeyedPermutation, IsUniform) {
  for (const std::uint64_t size : {2, 3, 5, 12}) {
    constexpr int kKeys = 12'000;
    std::vector<int> counts(size * size, 0);
    for (int key = 0; key < kKeys; ++key) {
      const KeyedPermutation permutation(size,
                                         random_key(static_cast<std::uint64_t>(key), "order"));
      for (std::uint64_t i = 0; i < size; ++i) counts[i * size + permutation(i)] += 1;
    }
    const double expected = static_cast<double>(kKeys) / static_cast<double>(size);
    double chi_square = 0;
    for (const int count : counts) chi_square += (count - expected) * (count - expected) / expected;
    const double degrees = static_cast<double>((size - 1) * (size - 1));
    EXPECT_LT(chi_square, degrees + 4 * std::sqrt(2 * degrees) + 4) << size;
  }
}

TEST(KeyedPermutation, AllOrdersOfThreeAreEquallyLikely) {
  std::map<std::array<std::uint64_t, 3>, int> counts;
  constexpr int kKeys = 6000;
  for (int key = 0; key < kKeys; ++key) {
    const KeyedPermutation permutation(3, random_key(static_cast<std::uint64_t>(key), "order"));
    counts[{permutation(0), permutation(1), permutation(2)}] += 1;
  }
  ASSERT_EQ(counts.size(), 6U);
  double chi_square = 0;
  for (const auto& [order, count] : counts)
    chi_square += (count - 1000.0) * (count - 1000.0) / 1000.0;
  EXPECT_LT(chi_square, 20.5);  // 99.9th percentile for 5 degrees of freedom
}

TEST(KeyedPermutation, SpreadsNeighbors) {
  constexpr std::uint64_t kSize = 10'000;
  const KeyedPermutation permutation(kSize, 5);
  double sum = 0;
  for (std::uint64_t i = 0; i + 1 < kSize; ++i)
    sum += std::fabs(static_cast<double>(permutation(i)) - static_cast<double>(permutation(i + 1)));
  EXPECT_NEAR(sum / (kSize - 1), kSize / 3.0, 100);  // mean distance of two uniform draws
}

}  // namespace
}  // namespace sluice::data
