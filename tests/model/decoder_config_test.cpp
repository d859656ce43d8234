#include "model/decoder_config.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "config/config.h"

namespace sluice::model {
namespace {

DecoderConfig parse(std::string_view yaml) { return config::parse<DecoderConfig>(yaml, "test"); }

void expect_refused(std::string_view yaml, std::initializer_list<std::string_view> words) {
  try {
    parse(yaml);
    ADD_FAILURE() << yaml << " was accepted";
  } catch (const UserError& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    for (const std::string_view word : words) EXPECT_NE(std::string_view(error.what()).find(word), std::string_view::npos) << error.what();
  }
}

TEST(DecoderConfig, every_variant_is_read_by_its_name) {
  for (const nn::FfnVariant& variant : nn::kFfnVariants) {
    EXPECT_EQ(&*parse("{ffn: " + std::string(variant.name) + "}").ffn, &variant);
  }
  expect_refused("{ffn: swigul}", {"ffn", "swigul", "swiglu"});
}

TEST(DecoderConfig, a_width_off_by_more_than_one_percent_is_refused_with_what_would_fit) {
  // 1365.33 wanted: 1280 is off by 6.25 %, and of the divisors of 256 the largest that fits is 32: 1376.
  expect_refused("{d_model: 512, num_heads: 8, d_ff_multiple: 256}", {"d_ff", "1280", "-6.25 %", "d_ff_multiple 32"});
  // 10.67 wanted: no multiple helps; a d_model that 3 divides does.
  expect_refused("{d_model: 4, num_heads: 1}", {"d_ff", "11", "3.12 %", "d_model 6"});
  EXPECT_NO_THROW(parse("{d_model: 512, num_heads: 8, d_ff_multiple: 32}"));
  EXPECT_NO_THROW(parse("{d_model: 6, num_heads: 1}"));
  EXPECT_NO_THROW(parse("{d_model: 512, num_heads: 8, d_ff: 1536}"));  // a number is the user's own choice
  EXPECT_DOUBLE_EQ(parse("{d_model: 512, num_heads: 8, d_ff: 1536}").resolved_d_ff().mismatch, 0.125);
}

// With biases the two figures differ, and either can be the one that decides. By hand for d_model 16, reference 64, swiglu:
// parameters 3·16·42 + 2·42 + 16 = 2116 against 2·16·64 + 64 + 16 = 2128: −0.56 %; multiply-adds 2016 against 2048: −1.56 %.
TEST(DecoderConfig, a_refused_width_names_the_figure_that_decides) {
  expect_refused("{d_model: 16, num_heads: 2, bias: true}",
                 {"d_ff", "42", "-0.56 % off in parameters", "-1.56 % in multiply-adds", "the multiply-adds are beyond", "1 % in each"});
  expect_refused("{d_model: 512, num_heads: 8, d_ff_multiple: 256}",
                 {"-6.25 % off in parameters", "-6.25 % in multiply-adds", "both are beyond", "d_ff_multiple 32"});
}

TEST(DecoderConfig, heads_divide) {
  expect_refused("{d_model: 192, num_heads: 5}", {"num_heads", "5", "192"});
  expect_refused("{num_heads: 3, num_kv_heads: 2}", {"num_kv_heads", "2", "3"});
  expect_refused("{num_heads: 2, num_kv_heads: 4}", {"num_kv_heads", "4", "2"});
  expect_refused("{d_model: 9, num_heads: 3, d_ff: 4}", {"num_heads", "head_dim 3", "even"});
  expect_refused("{head_dim: 7}", {"head_dim", "7", "even"});
  EXPECT_NO_THROW(parse("{d_model: 9, num_heads: 3, d_ff: 4, position: {type: none}}"));
  EXPECT_NO_THROW(parse("{d_model: 192, num_heads: 5, head_dim: 32}"));
}

TEST(DecoderConfig, sizes_have_limits) {
  for (const char* yaml : {"{num_heads: 0}", "{d_model: -1}", "{d_model: 65537}", "{num_layers: 10001}", "{head_dim: 4097}", "{d_ff: 0}",
                           "{d_ff_multiple: 0}", "{num_kv_heads: 0}", "{vocab_size: 0}", "{dropout: 1}", "{d_ff_reference: 16777217}",
                           "{pad_vocab_multiple: 0}", "{init: {std: 0}}", "{norm: {eps: 0}}", "{position: {type: rope, theta: -1}}"}) {
    expect_refused(yaml, {"expected"});
  }
}

}  // namespace
}  // namespace sluice::model
