// Generation and scoring token by token: logits of the cached form equal those of a fresh pass over
// the whole prefix bit for bit, do not depend on other sequences, and agree with the forward pass
// of training.
#include "model/decoding.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <cstring>

#include "base/error.h"
#include "base/random.h"
#include "tests/model/model_support.h"

namespace sluice::model::test {
namespace {

using Ids = std::vector<std::int32_t>;

constexpr std::int64_t kWindow = 40;

Ids random_ids(std::size_t count, std::uint64_t seed) {
  Ids ids;
  for (std::size_t i = 0; i < count; ++i)
    ids.push_back(static_cast<std::int32_t>(random_below(random_key(seed, "ids"), i, kVocabulary)));
  return ids;
}

bool same_bits(const at::Tensor& a, const at::Tensor& b) {
  return a.sizes() == b.sizes() &&
         std::memcmp(a.const_data_ptr(), b.const_data_ptr(), a.nbytes()) == 0;
}

// A model, and the encoder's input of a sequence (empty for a decoder).
struct Case {
  const char* name;
  const char* yaml;
  bool encodes = false;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

const Case kCases[] = {
    {"rope", "{ffn: swiglu}"},
    {"learned", "{position: {type: learned}, bias: true, norm: {type: layernorm}, ffn: gelu}"},
    {"sinusoidal", "{position: {type: sinusoidal}, tie_embeddings: false, ffn: squared_relu}"},
    {"none", "{position: {type: none}, ffn: geglu_erf, bias: true}"},
    {"grouped", "{num_kv_heads: 2, head_dim: 10, ffn: reglu}"},
    {"multi_query", "{num_kv_heads: 1, ffn: bilinear, norm: {type: layernorm}}"},
    {"learned_scalars", "{ffn: xielu}"},
    {"row_wise", "{ffn: polynorm}"},
    {"t5", "{ffn: geglu}", true},
    {"t5_clamped", "{ffn: swiglu_clamped}", true},
    {"t5_untied", "{ffn: relu, tie_embeddings: false, head_dim: 9, d_ff: 50}", true},
};

class Decodings : public ::testing::TestWithParam<std::tuple<Case, at::ScalarType>> {
 protected:
  const Case& wanted() const { return std::get<0>(GetParam()); }
  at::ScalarType dtype() const { return std::get<1>(GetParam()); }
  std::unique_ptr<LanguageModel> make() const {
    const Setting setting{.device = at::kCPU, .dtype = dtype()};
    auto model = wanted().encodes
                     ? build_encoder_decoder(small_encoder_decoder(wanted().yaml), setting)
                     : build({.config = small_decoder(wanted().yaml),
                              .sequence_length = kWindow,
                              .setting = setting});
    fill_with_numbers(*model, wanted().encodes ? 0.125 : 0.25);
    return model;
  }
  Ids encoder_input(std::uint64_t seed, std::size_t length = 23) const {
    return wanted().encodes ? random_ids(length, 100 + seed) : Ids{};
  }
  // Begins with the start token of an encoder-decoder.
  Ids decoder_ids(std::size_t length, std::uint64_t seed) const {
    Ids ids = random_ids(length, seed);
    if (wanted().encodes) ids[0] = 0;
    return ids;
  }
};

TEST_P(Decodings, CachedLogitsEqualThoseOfAFreshPassBitForBit) {
  const auto model = make();
  const Ids ids = decoder_ids(kWindow, 1), inputs = encoder_input(1);
  const auto cached = model->make_decoding(1, kWindow), fresh = model->make_decoding(1, kWindow);
  cached->start(0, inputs);
  for (std::size_t n = 1; n <= ids.size(); ++n) {
    const Feed next{.ids = std::span(ids).subspan(n - 1, 1)};
    const at::Tensor step = cached->append(std::span(&next, 1));
    fresh->start(0, inputs);
    const Feed prefix{.ids = std::span(ids).first(n)};
    ASSERT_TRUE(same_bits(step, fresh->append(std::span(&prefix, 1)))) << n << " tokens";
    EXPECT_EQ(cached->length(0), static_cast<std::int64_t>(n));
  }
}

TEST_P(Decodings, LogitsDoNotDependOnTheBatch) {
  const auto model = make();
  std::vector<Ids> ids, inputs;
  for (std::uint64_t s = 0; s < 5; ++s) {
    ids.push_back(decoder_ids(3 + 7 * s, s));
    inputs.push_back(encoder_input(s, 4 + 9 * s));
  }
  const auto together = model->make_decoding(5, kWindow), alone = model->make_decoding(1, kWindow);
  std::vector<Feed> feeds;
  for (std::size_t s = 0; s < 5; ++s) {
    together->start(static_cast<std::int64_t>(s), inputs[s]);
    feeds.push_back({static_cast<std::int64_t>(s), ids[s], s % 2 == 0});
  }
  at::Tensor all = together->append(feeds);
  std::vector<std::int32_t> next(5, 3);
  for (std::size_t s = 0; s < 5; ++s)
    feeds[s] = {static_cast<std::int64_t>(s), std::span(next).subspan(s, 1)};
  all = at::cat({all, together->append(feeds)});
  std::int64_t row = 0;
  for (std::size_t s = 0; s < 5; ++s) {
    alone->start(0, inputs[s]);
    const Feed feed{.ids = ids[s], .every_position = s % 2 == 0};
    const at::Tensor logits = alone->append(std::span(&feed, 1));
    EXPECT_TRUE(same_bits(logits, all.narrow(0, row, logits.size(0)).contiguous())) << s;
    row += logits.size(0);
    const Feed one{.ids = std::span(next).first(1)};
    const at::Tensor last = alone->append(std::span(&one, 1));
    EXPECT_TRUE(same_bits(last[0], all[all.size(0) - 5 + static_cast<std::int64_t>(s)])) << s;
  }
}

at::Tensor as_row(const Ids& ids) {
  return at::tensor(std::vector<std::int64_t>(ids.begin(), ids.end())).unsqueeze(0);
}

// All three forms: cached, recomputed, and the forward pass of training.
TEST_P(Decodings, LogitsAgreeWithTraining) {
  const auto model = make();
  const at::NoGradGuard no_grad;
  const Ids ids = decoder_ids(30, 1), inputs = encoder_input(1);
  Ids targets(ids.begin() + 1, ids.end());
  targets.push_back(-1);
  const Batch batch =
      wanted().encodes ? Batch{as_row(inputs), as_row(targets)} : Batch{as_row(ids), {}};
  const at::Tensor want = model->logits(batch, {})[0];
  const auto cached = model->make_decoding(1, kWindow),
             recomputed = make_recomputed_decoding(*model, 1, {});
  for (Decoding* decoding : {cached.get(), recomputed.get()}) {
    decoding->start(0, inputs);
    const Feed feed{.ids = ids, .every_position = true};
    const at::Tensor got = decoding->append(std::span(&feed, 1));
    ASSERT_EQ(got.sizes(), want.sizes());
    // bf16: training also rounds the operands of its products to 8 bits
    const double tolerance = dtype() == at::kFloat ? 1e-5 : 3e-2;
    EXPECT_LT((got - want).abs().max().item<double>(), tolerance * want.abs().max().item<double>());
  }
}

TEST_P(Decodings, ASequenceStartsAnew) {
  const auto model = make();
  const auto decoding = model->make_decoding(1, kWindow);
  const Ids first = decoder_ids(9, 1), second = decoder_ids(5, 2);
  std::vector<at::Tensor> logits;
  for (const Ids* ids : {&first, &second, &first}) {
    decoding->start(0, encoder_input(ids->size()));
    EXPECT_EQ(decoding->length(0), 0);
    const Feed feed{.ids = *ids};
    logits.push_back(decoding->append(std::span(&feed, 1)));
  }
  EXPECT_TRUE(same_bits(logits[0], logits[2]));
  EXPECT_FALSE(same_bits(logits[0], logits[1]));
}

INSTANTIATE_TEST_SUITE_P(All, Decodings,
                         ::testing::Combine(::testing::ValuesIn(kCases),
                                            ::testing::Values(at::kFloat, at::kBFloat16)),
                         [](const auto& row) {
                           return std::string(std::get<0>(row.param).name) +
                                  (std::get<1>(row.param) == at::kFloat ? "_fp32" : "_bf16");
                         });

TEST(Decoding, RejectsTooManyIdsAndIdsOutsideTheVocabulary) {
  const auto model = build({.config = small_decoder()});
  const auto decoding = model->make_decoding(1, 3);
  const auto append = [&](const Ids& ids) {
    const Feed feed{.ids = ids};
    decoding->append(std::span(&feed, 1));
  };
  EXPECT_THROW(append({1}), InvariantError) << "not started";
  decoding->start(0, {});
  EXPECT_THROW(append({1, 2, 3, 4}), InvariantError);
  decoding->start(0, {});
  EXPECT_THROW(append({-1}), InvariantError);
  decoding->start(0, {});
  EXPECT_THROW(append({64}), InvariantError) << "the embedding has 64 rows";
  EXPECT_THROW(decoding->start(0, Ids{1}), InvariantError) << "a decoder has no encoder input";
}

}  // namespace
}  // namespace sluice::model::test
