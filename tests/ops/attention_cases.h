// Cases of attention with all its inputs, for the forms that GPUs use.
#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <vector>

#include "ops/attention.h"
#include "tests/ops/settings.h"

namespace sluice::ops::test {

struct AttentionCase {
  std::int64_t batch, queries, keys;  // keys 0: self-attention, packed
  AttentionShape shape;
  bool causal, rotary, bias;
  double dropout = 0;
  std::int64_t num_keys() const { return keys == 0 ? queries : keys; }
};

// Self-attention of a decoder, with grouped queries; of T5's encoder and decoder; cross-attention;
// with dropout.
inline const AttentionCase kAttentionCases[] = {
    {2, 40, 0, {4, 2, 32}, true, true, false},
    {2, 70, 0, {2, 2, 64}, false, false, true},
    {2, 66, 0, {2, 1, 64}, true, false, true},
    {2, 19, 0, {2, 2, 16}, true, true, true},
    {2, 21, 34, {3, 3, 16}, false, true, false},
    {1, 9, 0, {2, 1, 7}, false, false, true},
    {2, 37, 0, {4, 2, 32}, true, true, true, 0.3},
    {2, 21, 34, {3, 3, 16}, false, false, false, 0.2},
};

// The output and the gradients.
inline std::vector<at::Tensor> run_attention(const AttentionCase& s, const Setting& setting,
                                             bool may_overwrite = false) {
  const std::int64_t columns = s.keys == 0 ? s.shape.packed_columns() : s.shape.query_columns();
  AttentionInputs in{
      .q = leaf(numbers({s.batch, s.queries, columns}, 1, 0.7), setting, setting.dtype),
      .may_overwrite = may_overwrite};
  std::vector<at::Tensor> leaves{in.q};
  if (s.keys != 0) {
    in.kv = leaf(numbers({s.batch, s.keys, s.shape.key_value_columns()}, 2, 0.7), setting,
                 setting.dtype);
    leaves.push_back(in.kv);
  }
  if (s.bias) {
    in.bias_HR = leaf(numbers({s.shape.num_heads, s.queries + s.num_keys() - 1}, 3), setting,
                      setting.master());
    leaves.push_back(in.bias_HR);
  }
  if (s.rotary) {
    in.rotary =
        Rotary::make(std::max(s.queries, s.num_keys()) + 2, s.shape.head_dim, 100.0, at::kCPU);
    in.rotary = {in.rotary.cos.to(setting.master()), in.rotary.sin.to(setting.master())};
  }
  Context context = setting.context();
  context.training = s.dropout > 0;
  context.seed = 3;
  context.step = 17;
  context.first_sample = 5;
  const AttentionRule rule{
      .causal = s.causal, .divisor = 2.5, .dropout = {s.dropout, dropout_site("test")}};
  const at::Tensor y = attention(in, s.shape, rule, context);
  y.backward(numbers(y.sizes().vec(), 4).to(y.options()));
  std::vector<at::Tensor> results{y};
  for (const at::Tensor& x : leaves) results.push_back(x.grad());
  return results;
}

inline void expect_same_bits(const std::vector<at::Tensor>& got,
                             const std::vector<at::Tensor>& want) {
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < want.size(); ++i) EXPECT_TRUE(at::equal(got[i], want[i])) << i;
}

// As in attention_test.cpp.
inline constexpr double kAttentionGradientFactor = 2;

}  // namespace sluice::ops::test
