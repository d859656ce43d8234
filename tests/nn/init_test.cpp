#include "nn/init.h"

#include <gtest/gtest.h>

namespace sluice::nn {
namespace {

TEST(InitRule, normal_has_one_deviation_and_scales_what_ends_a_branch) {
  const InitRule rule{.config = InitConfig{.type = InitType::kNormal, .std = 0.03}, .num_layers = 8};
  EXPECT_DOUBLE_EQ(rule.matrix(100).std, 0.03);
  EXPECT_DOUBLE_EQ(rule.embedding().std, 0.03);
  EXPECT_DOUBLE_EQ(rule.residual_matrix(100).std, 0.03 / 4);  // sqrt(2 · 8)
}

TEST(InitRule, fan_in_keeps_unit_variance) {
  const InitRule rule{.config = InitConfig{.type = InitType::kFanIn, .std = 0.03}, .num_layers = 2};
  EXPECT_DOUBLE_EQ(rule.matrix(400).std, 0.05);
  EXPECT_DOUBLE_EQ(rule.embedding().std, 0.03);
  EXPECT_DOUBLE_EQ(rule.residual_matrix(400).std, 0.025);
}

TEST(InitRule, the_residual_factor_can_be_left_out) {
  const InitRule rule{.config = InitConfig{.scale_residual = false}, .num_layers = 8};
  EXPECT_DOUBLE_EQ(rule.residual_matrix(10).std, rule.matrix(10).std);
}

}  // namespace
}  // namespace sluice::nn
