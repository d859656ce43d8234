#include "nn/init.h"

#include <gtest/gtest.h>

#include <cmath>

namespace sluice::nn {
namespace {

TEST(InitRule, NormalUsesOneStdAndScalesResidualMatrices) {
  const InitRule rule{.config = InitConfig{.type = InitType::kNormal, .std = 0.03},
                      .num_layers = 8};
  EXPECT_DOUBLE_EQ(rule.matrix(100).std, 0.03);
  EXPECT_DOUBLE_EQ(rule.embedding().std, 0.03);
  EXPECT_DOUBLE_EQ(rule.residual_matrix(100).std, 0.03 / 4);  // sqrt(2 · 8)
}

TEST(InitRule, FanInKeepsUnitVariance) {
  const InitRule rule{.config = InitConfig{.type = InitType::kFanIn, .std = 0.03}, .num_layers = 2};
  EXPECT_DOUBLE_EQ(rule.matrix(400).std, 0.05);
  EXPECT_DOUBLE_EQ(rule.embedding().std, 0.03);
  EXPECT_DOUBLE_EQ(rule.residual_matrix(400).std, 0.025);
}

TEST(InitRule, ResidualScalingCanBeDisabled) {
  const InitRule rule{.config = InitConfig{.scale_residual = false}, .num_layers = 8};
  EXPECT_DOUBLE_EQ(rule.residual_matrix(10).std, rule.matrix(10).std);
}

TEST(InitRule, AttentionFollowsTheMatrixRuleExceptForT5) {
  const InitRule rule{.config = InitConfig{.type = InitType::kFanIn}, .num_layers = 2};
  EXPECT_DOUBLE_EQ(rule.query(400, 64).std, rule.matrix(400).std);
  EXPECT_DOUBLE_EQ(rule.key_value(400).std, rule.matrix(400).std);
  EXPECT_DOUBLE_EQ(rule.attention_output(256).std, rule.residual_matrix(256).std);
}

// T5 base: d_model 768, 12 heads of 64, d_ff 2048.
TEST(InitRule, T5MatchesTheReleasedCode) {
  const InitRule rule{.config = T5InitConfig{}, .num_layers = 12};
  EXPECT_DOUBLE_EQ(rule.embedding().std, 1.0);
  EXPECT_DOUBLE_EQ(rule.query(768, 64).std, 1 / std::sqrt(768.0 * 64));
  EXPECT_DOUBLE_EQ(rule.key_value(768).std, 1 / std::sqrt(768.0));
  EXPECT_DOUBLE_EQ(rule.attention_output(12 * 64).std, 1 / std::sqrt(768.0));
  EXPECT_DOUBLE_EQ(rule.matrix(768).std, 1 / std::sqrt(768.0));
  EXPECT_DOUBLE_EQ(rule.residual_matrix(2048).std, 1 / std::sqrt(2048.0));
  EXPECT_DOUBLE_EQ(rule.relative_bias(12, 32).limit, std::sqrt(6.0 / 44));
  EXPECT_EQ(rule.relative_bias(12, 32).kind, ops::Init::Kind::kUniform);
  for (const ops::Init& init :
       {rule.embedding(), rule.query(768, 64), rule.key_value(768), rule.attention_output(768)})
    EXPECT_EQ(init.kind, ops::Init::Kind::kNormal);
  EXPECT_EQ(rule.matrix(768).kind, ops::Init::Kind::kTruncatedNormal);
  EXPECT_DOUBLE_EQ(rule.matrix(768).limit, 2.0);
}

TEST(InitRule, T5WithoutTruncationIsNormal) {
  const InitRule rule{.config = T5InitConfig{.truncate = {}}};
  EXPECT_EQ(rule.matrix(768).kind, ops::Init::Kind::kNormal);
}

}  // namespace
}  // namespace sluice::nn
