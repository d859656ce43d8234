#include "nn/position.h"

#include <ATen/ATen.h>

#include <cmath>

#include "base/error.h"
#include "tests/nn/module_support.h"

namespace sluice::nn::test {
namespace {

constexpr std::int64_t kPositionWidth = 6, kHead = 4, kLength = 5;
constexpr PositionSizes kSizes{
    .d_model = kPositionWidth, .head_dim = kHead, .sequence_length = kLength};

class Positions : public ::testing::TestWithParam<ops::test::Setting> {};

TEST_P(Positions, SinusoidsFollowTheFormulaAtAnyLength) {
  ops::Parameters parameters;
  const Position position(parameters, SinusoidalConfig{}, kSizes, {});
  EXPECT_TRUE(parameters.specs().empty());
  for (const std::int64_t length : {3, 5, 9}) {
    const at::Tensor y = position.add_to(at::ones({2, length, kPositionWidth}, GetParam().device),
                                         GetParam().context());
    Array want;
    for (int b = 0; b < 2; ++b) {
      for (std::int64_t t = 0; t < length; ++t) {
        for (std::int64_t i = 0; i < kPositionWidth; ++i) {
          const double angle = static_cast<double>(t) /
                               std::pow(10000.0, static_cast<double>(i / 2 * 2) / kPositionWidth);
          want.push_back(1 + (i % 2 == 0 ? std::sin(angle) : std::cos(angle)));
        }
      }
    }
    expect_close(array_of(y), want, 1e-6, "sinusoids");
    EXPECT_FALSE(position.rotary(length, GetParam().device).defined());
  }
}

TEST_P(Positions, RotaryTablesFollowTheFormulaAtAnyLength) {
  ops::Parameters parameters;
  const Position position(parameters, RopeConfig{.theta = 500}, kSizes, {});
  EXPECT_TRUE(parameters.specs().empty());
  const at::Tensor x = at::ones({1, kLength, kPositionWidth}, GetParam().device);
  EXPECT_TRUE(position.add_to(x, GetParam().context()).is_same(x));
  for (const std::int64_t length : {3, 5, 9}) {
    const ops::Rotary rotary = position.rotary(length, GetParam().device);
    ASSERT_GE(rotary.cos.size(0), length);
    Array cosines, sines;
    for (std::int64_t t = 0; t < length; ++t) {
      for (std::int64_t i = 0; i < kHead / 2; ++i) {
        const double angle =
            static_cast<double>(t) * std::pow(500.0, -2.0 * static_cast<double>(i) / kHead);
        cosines.push_back(std::cos(angle));
        sines.push_back(std::sin(angle));
      }
    }
    expect_close(array_of(rotary.cos.narrow(0, 0, length)), cosines, 1e-6, "cos");
    expect_close(array_of(rotary.sin.narrow(0, 0, length)), sines, 1e-6, "sin");
  }
}

TEST_P(Positions, LearnedVectorsAreAddedAndGradientsSummedOverTheBatch) {
  ops::Parameters parameters;
  const Position position(parameters, LearnedConfig{}, kSizes, {});
  fill(parameters, GetParam(), 1.0);
  const at::Tensor x =
      ops::test::numbers({2, 3, kPositionWidth}, 1).to(at::kFloat).to(GetParam().device);
  const at::Tensor y = position.add_to(x, GetParam().context());
  const Array table = values_of(parameters).at("position.weight"), input = array_of(x);
  Array want = input, gradient(static_cast<std::size_t>(kLength * kPositionWidth));
  for (std::size_t i = 0; i < want.size(); ++i) want[i] += table[i % (3 * kPositionWidth)];
  expect_close(array_of(y), want, 1e-6, "sum");
  y.backward(x);
  for (std::size_t i = 0; i < 3 * kPositionWidth; ++i)
    gradient[i] = input[i] + input[i + 3 * kPositionWidth];
  expect_close(gradients_of(parameters).at("position.weight"), gradient, 1e-6, "gradient");
}

INSTANTIATE_TEST_SUITE_P(All, Positions, ::testing::ValuesIn(ops::test::all_settings()),
                         ops::test::setting_name);

TEST(Position, LearnedPositionsAreLimitedToMaxLength) {
  ops::Parameters parameters;
  const Position position(parameters, LearnedConfig{.max_length = 7}, kSizes, {});
  fill(parameters, {}, 1.0);
  EXPECT_EQ(parameters.num_parameters(), 7 * kPositionWidth);
  EXPECT_NO_THROW(position.add_to(at::zeros({1, 7, kPositionWidth}), {}));
  EXPECT_THROW(position.add_to(at::zeros({1, 8, kPositionWidth}), {}), InvariantError);
}

TEST(Position, NoneLeavesTheInputUnchanged) {
  ops::Parameters parameters;
  const Position position(parameters, NoPositionConfig{}, kSizes, {});
  const at::Tensor x = at::ones({1, 4, kPositionWidth});
  EXPECT_TRUE(position.add_to(x, {}).is_same(x));
  EXPECT_FALSE(position.rotary(4, at::kCPU).defined());
  EXPECT_TRUE(parameters.specs().empty());
}

// Results of a run do not depend on longer inputs processed in between.
TEST(Position, LongerInputsDoNotReplaceTheCachedTables) {
  ops::Parameters parameters;
  const Position position(parameters, RopeConfig{}, kSizes, {});
  const ops::Rotary before = position.rotary(kLength, at::kCPU);
  position.rotary(10 * kLength, at::kCPU);
  EXPECT_TRUE(position.rotary(kLength, at::kCPU).cos.is_same(before.cos));
}

}  // namespace
}  // namespace sluice::nn::test
