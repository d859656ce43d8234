#include "model/encoder_decoder_config.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "config/config.h"
#include "model/language_model.h"

namespace sluice::model {
namespace {

EncoderDecoderConfig parse(std::string_view yaml) {
  return config::parse<EncoderDecoderConfig>(yaml, "test");
}

void expect_refused(std::string_view yaml, std::initializer_list<std::string_view> words) {
  try {
    parse(yaml);
    ADD_FAILURE() << yaml << " was accepted";
  } catch (const UserError& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    for (const std::string_view word : words)
      EXPECT_NE(std::string_view(error.what()).find(word), std::string_view::npos) << error.what();
  }
}

TEST(EncoderDecoderConfig, DefaultsMatchThePaper) {
  const EncoderDecoderConfig c = parse("{num_layers: 3}");
  EXPECT_EQ(c.resolved_decoder_layers(), 3);
  EXPECT_EQ(std::get<nn::T5RelativeConfig>(c.position).num_buckets, 32);
  EXPECT_EQ(std::get<nn::T5RelativeConfig>(c.position).max_distance, 128);
  EXPECT_EQ(*std::get<nn::T5InitConfig>(c.init).truncate, 2.0);
  EXPECT_TRUE(c.tie_embeddings);
  EXPECT_EQ(c.norm.type, nn::NormType::kRmsNorm);
  EXPECT_EQ(c.norm.eps, 1e-6);
  EXPECT_EQ(vocabulary_rows(c, 32100), 32128);
  EXPECT_EQ(vocabulary_rows(c, 32128), 32128);
}

TEST(EncoderDecoderConfig, ParsesThePapersConfiguration) {
  const EncoderDecoderConfig c = parse(
      "{num_layers: 12, num_decoder_layers: 12, d_model: 768, num_heads: 12, head_dim: 64, "
      "ffn: geglu, d_ff: match, vocab_size: 32128, "
      "position: {type: t5_relative, num_buckets: 32, max_distance: 128}, tie_embeddings: true, "
      "init: {type: t5, truncate: none}}");
  EXPECT_EQ(c.resolved_d_ff().d_ff, 2048);
  EXPECT_TRUE(std::get<nn::T5InitConfig>(c.init).truncate.is_word());
}

TEST(EncoderDecoderConfig, RejectsInvalidConfigurations) {
  expect_refused("{d_model: 192, num_heads: 5}", {"num_heads", "5", "192"});
  expect_refused("{d_model: 512, num_heads: 8, d_ff_multiple: 256}",
                 {"d_ff", "1280", "-6.25 %", "d_ff_multiple 32"});
  expect_refused("{position: {type: t5_relative, num_buckets: 32, max_distance: 16}}",
                 {"max_distance", "16", "num_buckets"});
  expect_refused("{position: {type: t5_relative, num_buckets: 33}}", {"num_buckets", "33"});
  expect_refused("{position: {type: rope}}", {"position", "rope", "t5_relative"});
  expect_refused("{init: {type: t5, truncate: 0.1}}", {"truncate", "0.1"});
  expect_refused("{num_kv_heads: 2}", {"num_kv_heads"});
}

TEST(EncoderDecoderConfig, VocabSizeIncludesPadding) {
  EncoderDecoderConfig c = parse("{vocab_size: 256}");
  EXPECT_NO_THROW(make_model(c, 200, {16, 8, 0}));
  c.vocab_size = 200;
  EXPECT_THROW(make_model(c, 200, {16, 8, 0}), UserError);
}

// T5 base has 222,903,552 parameters with every feed-forward layer of the paper.
TEST(EncoderDecoderConfig, T5BaseMatchesThePapersSize) {
  for (const char* variant :
       {"relu", "gelu", "swish", "glu", "bilinear", "reglu", "geglu", "swiglu"}) {
    const EncoderDecoderConfig c =
        parse(std::string("{num_layers: 12, d_model: 768, num_heads: 12, head_dim: 64, ffn: ") +
              variant + "}");
    const ModelSizes sizes = model_sizes(c, 32100, {512, 114, 0});
    EXPECT_EQ(sizes.num_parameters, 222903552) << variant;
    EXPECT_EQ(sizes.num_non_embedding_parameters, 222903552 - 32128 * 768) << variant;
    EXPECT_EQ(sizes.d_ff_mismatch, 0.0) << variant;
    // Written out: 7.08 M per encoder block; a decoder block adds four cross-attention matrices.
    const double S = 512, T = 114, attention = 4 * 768.0 * 768, ffn = 2 * 768.0 * 3072,
                 kv = attention / 2;
    const double products =
        12 * ((attention + ffn) * S + (2 * attention - kv + ffn) * T + kv * S) + 32128.0 * 768 * T;
    const double scores = 12 * 768.0 * (S * S + T * T + T * S);
    EXPECT_NEAR(sizes.flops_per_token * T / (6 * products + 12 * scores), 1, 1e-12) << variant;
  }
}

}  // namespace
}  // namespace sluice::model
