// Attention features that a decoder does not use: relative bias, no causal mask, cross-attention,
// dropout of the probabilities.
#include <ATen/ATen.h>

#include <cmath>

#include "base/error.h"
#include "ops/attention_forms.h"
#include "tests/ops/settings.h"

namespace sluice::ops::test {
namespace {

struct SourceSizes {
  std::int64_t batch, queries, keys;  // keys 0: self-attention, packed
  AttentionShape shape;
  bool causal, bias;
  std::int64_t num_keys() const { return keys == 0 ? queries : keys; }
};

// A single position; lengths below, equal to and above the tile size; fewer and more queries than
// keys; grouped queries.
const SourceSizes kSourceSizes[] = {
    {2, 37, 0, {2, 2, 16}, false, true},  {1, 130, 0, {4, 2, 32}, false, true},
    {2, 64, 0, {3, 3, 8}, true, true},    {1, 150, 0, {2, 1, 64}, true, true},
    {2, 1, 0, {2, 2, 8}, true, true},     {2, 29, 70, {2, 2, 16}, false, false},
    {1, 130, 5, {4, 2, 7}, false, false}, {1, 64, 128, {1, 1, 64}, false, true},
    {2, 70, 0, {2, 2, 16}, false, false},
};

using AttentionForm = at::Tensor (*)(const AttentionInputs&, const AttentionShape&,
                                     const AttentionRule&);

struct Leaves {
  AttentionInputs inputs;
  std::vector<at::Tensor> all;
};

Leaves leaves_of(const SourceSizes& s, const Setting& setting) {
  Leaves made;
  const std::int64_t columns = s.keys == 0 ? s.shape.packed_columns() : s.shape.query_columns();
  made.inputs.q = leaf(numbers({s.batch, s.queries, columns}, 1, 0.7), setting, setting.dtype);
  made.all.push_back(made.inputs.q);
  if (s.keys != 0) {
    made.inputs.kv = leaf(numbers({s.batch, s.keys, s.shape.key_value_columns()}, 2, 0.7), setting,
                          setting.dtype);
    made.all.push_back(made.inputs.kv);
  }
  if (s.bias) {
    made.inputs.bias_HR = leaf(numbers({s.shape.num_heads, s.queries + s.num_keys() - 1}, 3),
                               setting, setting.master());
    made.all.push_back(made.inputs.bias_HR);
  }
  return made;
}

Run run_of_sources(const SourceSizes& s, AttentionForm form = nullptr) {
  return [=](const Setting& setting) {
    const Leaves leaves = leaves_of(s, setting);
    const AttentionRule rule{.causal = s.causal, .divisor = 1.5};
    const bool named = form != nullptr && setting.dtype != at::kDouble;
    const at::Tensor y = named ? form(leaves.inputs, s.shape, rule)
                               : attention(leaves.inputs, s.shape, rule, setting.context());
    EXPECT_EQ(y.scalar_type(), setting.dtype);
    y.backward(numbers(y.sizes().vec(), 4).to(y.options()));
    std::vector<at::Tensor> results{y};
    for (const at::Tensor& x : leaves.all) results.push_back(x.grad());
    return results;
  };
}

std::string describe(const SourceSizes& s) {
  return std::to_string(s.queries) + " queries, " + std::to_string(s.num_keys()) +
         " keys, heads of " + std::to_string(s.shape.head_dim) + (s.causal ? ", causal" : "") +
         (s.bias ? ", bias" : "");
}

// As in attention_test.cpp.
constexpr double kSourceGradientFactor = 2, kSourceLibraryFactor = 4;

class AttentionSources : public ::testing::TestWithParam<Setting> {};

TEST_P(AttentionSources, EqualFloat64) {
  for (const SourceSizes& s : kSourceSizes) {
    SCOPED_TRACE(describe(s));
    expect_equals_float64(
        GetParam(), run_of_sources(s),
        GetParam().has_library_attention() ? kSourceLibraryFactor : kSourceGradientFactor);
  }
}

TEST_P(AttentionSources, EveryImplementationEqualsFloat64) {
  for (const auto form : {&library_attention, &tiled_attention}) {
    if (form == &tiled_attention && GetParam().device.is_cuda()) continue;
    for (const SourceSizes& s : kSourceSizes) {
      SCOPED_TRACE(describe(s));
      expect_equals_float64(
          GetParam(), run_of_sources(s, form),
          form == &library_attention ? kSourceLibraryFactor : kSourceGradientFactor);
    }
  }
}

TEST_P(AttentionSources, AreRepeatable) {
  const std::vector<at::Tensor> first = run_of_sources(kSourceSizes[1])(GetParam()),
                                second = run_of_sources(kSourceSizes[1])(GetParam());
  for (std::size_t i = 0; i < first.size(); ++i) EXPECT_TRUE(at::equal(first[i], second[i]));
}

TEST_P(AttentionSources, EveryQuerySeesEveryKeyWithoutACausalMask) {
  const SourceSizes s{1, 20, 90, {1, 1, 16}, false, false};
  Leaves leaves = leaves_of(s, GetParam());
  const AttentionRule rule;
  const at::Tensor before = attention(leaves.inputs, s.shape, rule, GetParam().context()).detach();
  for (const std::int64_t key : {0, 63, 64, 89}) {
    AttentionInputs other = leaves.inputs;
    other.kv = leaves.inputs.kv.detach().clone();
    other.kv.select(1, key).narrow(1, 16, 16).add_(200);  // its value
    const at::Tensor after = attention(other, s.shape, rule, GetParam().context());
    EXPECT_TRUE(after.ne(before).any(-1).all().item<bool>()) << key;
  }
}

// Scores far below those of padded keys, which must not overflow into the gradients.
TEST_P(AttentionSources, VeryLowScoresStayFinite) {
  const SourceSizes s{1, 10, 10, {1, 1, 8}, false, true};
  Leaves leaves = leaves_of(s, GetParam());
  leaves.inputs.bias_HR =
      at::full_like(leaves.inputs.bias_HR.detach(), -500).set_requires_grad(true);
  const at::Tensor y = attention(leaves.inputs, s.shape, {}, GetParam().context());
  y.backward(numbers(y.sizes().vec(), 4).to(y.options()));
  for (const at::Tensor& x :
       {y, leaves.inputs.q.grad(), leaves.inputs.kv.grad(), leaves.inputs.bias_HR.grad()})
    EXPECT_TRUE(at::isfinite(x).all().item<bool>());
}

// The dropout mask depends on the sample, so micro-batches use the mask of the whole batch; no
// dropout outside training.
TEST_P(AttentionSources, DropoutOfProbabilitiesIsKeyedByTheSample) {
  const SourceSizes s{4, 12, 0, {2, 2, 8}, false, true};
  const Leaves leaves = leaves_of(s, GetParam());
  const AttentionRule dropping{.dropout = {.probability = 0.4, .site = 7}};
  Context context = GetParam().context();
  const at::Tensor plain = attention(leaves.inputs, s.shape, {}, context).detach();
  EXPECT_TRUE(at::equal(attention(leaves.inputs, s.shape, dropping, context).detach(), plain));
  context.training = true;
  const at::Tensor whole = attention(leaves.inputs, s.shape, dropping, context).detach();
  EXPECT_FALSE(at::equal(whole, plain));
  context.first_sample = 2;
  AttentionInputs later = leaves.inputs;
  later.q = leaves.inputs.q.narrow(0, 2, 2);
  expect_close(attention(later, s.shape, dropping, context), whole.narrow(0, 2, 2),
               tolerance(GetParam().dtype), "samples 2 and 3");
}

INSTANTIATE_TEST_SUITE_P(All, AttentionSources, ::testing::ValuesIn(all_settings()), setting_name);

// Written out: softmax over the keys of q·k / divisor + bias[distance].
TEST(AttentionSources, ReferenceMatchesTheFormula) {
  const SourceSizes s{2, 5, 8, {2, 2, 4}, false, true};
  const Leaves leaves = leaves_of(s, exact());
  const at::Tensor q = leaves.inputs.q.detach(), kv = leaves.inputs.kv.detach(),
                   bias = leaves.inputs.bias_HR.detach();
  const at::Tensor got = attention(leaves.inputs, s.shape, {.divisor = 3}, exact().context());
  for (std::int64_t b = 0; b < 2; ++b)
    for (std::int64_t h = 0; h < 2; ++h)
      for (std::int64_t t = 0; t < 5; ++t) {
        std::vector<double> weights;
        double sum = 0;
        for (std::int64_t k = 0; k < 8; ++k) {
          const double product =
              q[b][t].narrow(0, 4 * h, 4).dot(kv[b][k].narrow(0, 4 * h, 4)).item<double>();
          weights.push_back(std::exp(product / 3 + bias[h][k - t + 4].item<double>()));
          sum += weights.back();
        }
        for (std::int64_t e = 0; e < 4; ++e) {
          double want = 0;
          for (std::int64_t k = 0; k < 8; ++k)
            want +=
                weights[static_cast<std::size_t>(k)] / sum * kv[b][k][8 + 4 * h + e].item<double>();
          EXPECT_NEAR(got[b][t][4 * h + e].item<double>(), want, 1e-12);
        }
      }
}

TEST(AttentionSources, GradientsMatchFiniteDifferences) {
  const AttentionShape shape{2, 1, 3};
  const auto f = [&](const std::vector<at::Tensor>& x) {
    return attention({.q = x[0], .kv = x[1], .bias_HR = x[2]}, shape, {.divisor = 2},
                     exact().context());
  };
  expect_finite_difference_gradients(
      f, {numbers({2, 4, 6}, 1), numbers({2, 5, 6}, 2), numbers({2, 8}, 3)});
}

TEST(AttentionSources, RejectsWrongShapes) {
  const AttentionShape shape{2, 2, 4};
  const at::Tensor q = at::zeros({1, 3, 8}), kv = at::zeros({1, 5, 16});
  EXPECT_THROW(attention({.q = q, .kv = at::zeros({1, 5, 8})}, shape, {}, {}), InvariantError);
  EXPECT_THROW(attention({.q = q, .kv = at::zeros({2, 5, 16})}, shape, {}, {}), InvariantError);
  EXPECT_THROW(attention({.q = q, .kv = kv.to(at::kBFloat16)}, shape, {}, {}), InvariantError);
  EXPECT_THROW(attention({.q = q, .kv = kv}, shape, {.causal = true}, {}), InvariantError);
  EXPECT_THROW(attention({.q = q, .kv = kv, .bias_HR = at::zeros({2, 8})}, shape, {}, {}),
               InvariantError);
  EXPECT_THROW(attention({.q = q, .kv = kv, .bias_HR = at::zeros({1, 7})}, shape, {}, {}),
               InvariantError);
  EXPECT_NO_THROW(attention({.q = q, .kv = kv, .bias_HR = at::zeros({2, 7})}, shape, {}, {}));
}

}  // namespace
}  // namespace sluice::ops::test
