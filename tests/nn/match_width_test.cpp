#include "nn/match_width.h"

#include <gtest/gtest.h>

#include <cmath>

namespace sluice::nn {
namespace {

std::int64_t count(std::int64_t matrices, std::int64_t d_model, std::int64_t d_ff, bool bias) {
  return matrices * d_model * d_ff + (bias ? (matrices - 1) * d_ff + d_model : 0);
}

TEST(MatchWidth, IsExactAtTheShippedWidths) {
  for (const std::int64_t d_model : {96, 192, 384, 768, 1536}) {
    for (const FfnVariant& variant : kFfnVariants) {
      const WidthMatch match = match_width(variant, {.d_model = d_model, .reference = 4 * d_model});
      EXPECT_EQ(match.d_ff, variant.gated ? 8 * d_model / 3 : 4 * d_model)
          << variant.name << " at " << d_model;
      // Learned scalars are parameters of the layer, but not of the reference.
      EXPECT_NEAR(match.mismatch,
                  static_cast<double>(variant.activation.num_scalars()) /
                      static_cast<double>(count(2, d_model, 4 * d_model, false)),
                  1e-15);
      EXPECT_EQ(match.multiply_add_mismatch, 0.0);
    }
  }
}

TEST(MatchWidth, MatchesThePapersWidthsAndParameterCounts) {
  EXPECT_EQ(match_width(*FfnName("relu"), {.d_model = 768, .reference = 3072}).d_ff, 3072);
  EXPECT_EQ(match_width(*FfnName("swiglu"), {.d_model = 768, .reference = 3072}).d_ff, 2048);
  EXPECT_EQ(count(2, 768, 3072, false), 4718592);
  EXPECT_EQ(count(3, 768, 2048, false), 4718592);
}

// Compared with an exhaustive search.
TEST(MatchWidth, HasTheSmallestMismatchOfAllMultiples) {
  for (const std::int64_t d_model : {1, 2, 7, 64, 100, 257, 512}) {
    for (const std::int64_t multiple : {1, 8, 64}) {
      for (const char* name : {"relu", "swiglu"}) {
        for (const bool bias : {false, true}) {
          const WidthRequest request{
              .d_model = d_model, .reference = 4 * d_model + 3, .multiple = multiple, .bias = bias};
          const FfnVariant& variant = *FfnName(name);
          const auto wanted = static_cast<double>(count(2, d_model, request.reference, bias));
          double best = INFINITY;
          for (std::int64_t d_ff = multiple; d_ff <= 8 * d_model + 2 * multiple; d_ff += multiple) {
            best = std::min(
                best,
                std::abs(static_cast<double>(count(variant.num_matrices(), d_model, d_ff, bias)) /
                             wanted -
                         1));
          }
          const WidthMatch match = match_width(variant, request);
          EXPECT_EQ(match.d_ff % multiple, 0);
          const double got =
              static_cast<double>(count(variant.num_matrices(), d_model, match.d_ff, bias)) /
                  wanted -
              1;
          EXPECT_NEAR(std::abs(got), best, 1e-12)
              << name << " d_model " << d_model << " multiple " << multiple << " bias " << bias;
          EXPECT_NEAR(match.mismatch, got, 1e-12);
        }
      }
    }
  }
}

TEST(MatchWidth, ReportsTheMismatchOfACoarseMultiple) {
  const WidthMatch match =
      match_width(*FfnName("swiglu"), {.d_model = 512, .reference = 2048, .multiple = 256});
  // exact width 1365.33: 1280 is nearer than 1536
  EXPECT_EQ(match.d_ff, 1280);
  EXPECT_NEAR(match.mismatch, 1280 * 3.0 / 4096 - 1, 1e-15);  // −6.25 %
  const WidthMatch usual =
      compare_width(*FfnName("swiglu"), {.d_model = 512, .reference = 2048}, 1536);
  EXPECT_DOUBLE_EQ(usual.mismatch, 0.125);  // the usual +12.5 % from rounding up to 256
}

TEST(MatchWidth, CountsBiasesAsParametersButNotAsMultiplyAdds) {
  const WidthMatch match =
      compare_width(*FfnName("swiglu"), {.d_model = 192, .reference = 768, .bias = true}, 512);
  EXPECT_DOUBLE_EQ(match.multiply_add_mismatch, 0.0);
  EXPECT_DOUBLE_EQ(match.mismatch, static_cast<double>(count(3, 192, 512, true)) /
                                           static_cast<double>(count(2, 192, 768, true)) -
                                       1);
  EXPECT_GT(match.mismatch, 0);
}

}  // namespace
}  // namespace sluice::nn
