#include "ops/relative_bias.h"

#include <ATen/ATen.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "tests/ops/settings.h"

// Included last: its namespace sluice::testing would hide GoogleTest's.
#include "tests/base/temporary_directory.h"

namespace sluice::ops::test {
namespace {

constexpr BucketRule kEncoder{.num_buckets = 32, .max_distance = 128, .bidirectional = true},
    kDecoder{};

// Examples of the rule in the paper.
TEST(RelativeBucket, MatchesKnownDistances) {
  EXPECT_EQ(relative_bucket(-1, kEncoder), 17);  // key to the right
  EXPECT_EQ(relative_bucket(1, kEncoder), 1);
  EXPECT_EQ(relative_bucket(64, kEncoder), 14);
  EXPECT_EQ(relative_bucket(128, kEncoder), 15);
  EXPECT_EQ(relative_bucket(-5, kDecoder), 0);
  EXPECT_EQ(relative_bucket(15, kDecoder), 15);
  EXPECT_EQ(relative_bucket(100000, kDecoder), 31);
  for (std::int64_t n = -600; n <= 600; ++n) EXPECT_NE(relative_bucket(n, kEncoder), 16) << n;
}

// tests/ops/relative_buckets.py prints one line per rule: buckets, max_distance, bidirectional,
// then the buckets of -600 ... 600.
TEST(RelativeBucket, EqualsAnIndependentImplementationForAllDistances) {
  const sluice::testing::TemporaryDirectory folder;
  const std::string answers = (folder.path() / "buckets.txt").string();
  const std::string command = std::string("\"") + SLUICE_PYTHON + "\" \"" + SLUICE_SOURCE_DIR +
                              "/tests/ops/relative_buckets.py\" > \"" + answers + '"';
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
  std::ifstream in(answers);
  std::int64_t rules = 0;
  for (std::string line; std::getline(in, line); ++rules) {
    std::istringstream words(line);
    BucketRule rule;
    words >> rule.num_buckets >> rule.max_distance >> rule.bidirectional;
    for (std::int64_t n = -600; n <= 600; ++n) {
      std::int64_t want = -1;
      words >> want;
      EXPECT_EQ(relative_bucket(n, rule), want)
          << "query - key " << n << " of " << line.substr(0, 12);
    }
  }
  EXPECT_EQ(rules, 8);
}

class RelativeBias : public ::testing::TestWithParam<Setting> {};

TEST_P(RelativeBias, GathersValuesAndAccumulatesGradientsPerBucket) {
  for (const BucketRule& rule : {kEncoder, kDecoder}) {
    const Weight table = weight_of(numbers({3, 32}, 1), GetParam());
    const at::Tensor bias = relative_bias(table, rule, 40, 300), upstream = numbers({3, 339}, 2);
    ASSERT_EQ(bias.sizes(), upstream.sizes());
    bias.backward(upstream.to(bias.options()));
    at::Tensor want = at::zeros({3, 32}, at::kDouble);
    for (std::int64_t r = 0; r < 339; ++r) {
      const std::int64_t bucket = relative_bucket(39 - r, rule);
      EXPECT_TRUE(at::equal(bias.detach().select(1, r), table.value.detach().select(1, bucket)))
          << r;
      want.select(1, bucket).add_(upstream.select(1, r));
    }
    expect_close(table.value.grad(), want, tolerance(at::kFloat), "gradient");
  }
}

INSTANTIATE_TEST_SUITE_P(All, RelativeBias, ::testing::ValuesIn(all_settings()), setting_name);

TEST(RelativeBias, RejectsATableOfAnotherWidth) {
  EXPECT_THROW(relative_bias(weight_of(at::zeros({2, 16}, at::kDouble), {}), kEncoder, 4, 4),
               InvariantError);
}

}  // namespace
}  // namespace sluice::ops::test
