// read_curves(): the curves of metrics.jsonl.
#include <gtest/gtest.h>

#include <fstream>

#include "compare/collect.h"
#include "tests/base/temporary_directory.h"
#include "tests/compare/fake_runs.h"

namespace sluice::compare {
namespace {

TEST(Curves, TrainingPointsAreMeans) {
  const sluice::testing::TemporaryDirectory directory;
  const std::filesystem::path path = directory / "metrics.jsonl";
  EXPECT_TRUE(read_curves(path).training.empty());
  std::ofstream(path) << "{\"step\":0,\"eval\":{\"log_perplexity\":5.5}}\n"
                      << testing::training_lines(1, 900)
                      << "{\"step\":900,\"eval\":{\"log_perplexity\":4.5,\"num_tokens\":3}}\n"
                         "{\"step\":900,\"note\":{\"eval\":1}}\n"
                      << "{\"step\":901,\"log_perp";
  const Curves curves = read_curves(path);
  ASSERT_EQ(curves.training.size(), 300U);
  EXPECT_EQ(curves.training[0].step, 3);
  EXPECT_EQ(curves.training[0].log_perplexity, 2.0);  // of 1, 2, 3
  EXPECT_EQ(curves.training[0].seconds, 0.75);
  EXPECT_EQ(curves.training[299].step, 900);
  EXPECT_EQ(curves.training[299].seconds, 225.0);
  ASSERT_EQ(curves.held_out.size(), 2U);
  EXPECT_EQ(curves.held_out[0].log_perplexity, 5.5);
  EXPECT_EQ(curves.held_out[1].step, 900);
  EXPECT_EQ(curves.held_out[0].num_tokens, 0U);  // unknown
  EXPECT_EQ(curves.held_out[1].num_tokens, 3U);
  EXPECT_EQ(curves.held_out[1].seconds, 225.0);
}

TEST(Curves, PointsWithoutAValueAreOmitted) {
  const sluice::testing::TemporaryDirectory directory;
  const std::filesystem::path path = directory / "metrics.jsonl";
  std::ofstream(path) << testing::training_lines(1, 2)
                      << "{\"step\":3,\"loss\":null,\"log_perplexity\":null}\n"
                         "{\"step\":3,\"eval\":{\"log_perplexity\":null}}\n";
  const Curves curves = read_curves(path);
  EXPECT_EQ(curves.training.size(), 2U);
  EXPECT_TRUE(curves.held_out.empty());
}

}  // namespace
}  // namespace sluice::compare
