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
    for (const std::string_view word : words)
      EXPECT_NE(std::string_view(error.what()).find(word), std::string_view::npos) << error.what();
  }
}

TEST(DecoderConfig, ParsesEveryVariantByName) {
  for (const nn::FfnVariant& variant : nn::kFfnVariants) {
    EXPECT_EQ(&*parse("{ffn: " + std::string(variant.name) + "}").ffn, &variant);
  }
  expect_refused("{ffn: swigul}", {"ffn", "swigul", "swiglu"});
}

TEST(DecoderConfig, RejectsAWidthMismatchAndSuggestsAFix) {
  // Exact width 1365.33: 1280 is off by 6.25 %. The largest divisor of 256 that fits is 32: 1376.
  expect_refused("{d_model: 512, num_heads: 8, d_ff_multiple: 256}",
                 {"d_ff", "1280", "-6.25 %", "d_ff_multiple 32"});
  // Exact width 10.67: no multiple helps, but a d_model divisible by 3 does.
  expect_refused("{d_model: 4, num_heads: 1}", {"d_ff", "11", "3.12 %", "d_model 6"});
  EXPECT_NO_THROW(parse("{d_model: 512, num_heads: 8, d_ff_multiple: 32}"));
  EXPECT_NO_THROW(parse("{d_model: 6, num_heads: 1}"));
  // Numbers are accepted without a check.
  EXPECT_NO_THROW(parse("{d_model: 512, num_heads: 8, d_ff: 1536}"));
  EXPECT_DOUBLE_EQ(parse("{d_model: 512, num_heads: 8, d_ff: 1536}").resolved_d_ff().mismatch,
                   0.125);
}

// With biases the two mismatches differ, and either can exceed the tolerance. By hand for swiglu,
// d_model 16, reference 64:
//   parameters     3·16·42 + 2·42 + 16 = 2116 instead of 2·16·64 + 64 + 16 = 2128: −0.56 %
//   multiply-adds  2016 instead of 2048: −1.56 %
TEST(DecoderConfig, ReportsWhichMismatchExceedsTheTolerance) {
  expect_refused("{d_model: 16, num_heads: 2, bias: true}",
                 {"d_ff", "42", "mismatch -0.56 % in parameters", "-1.56 % in multiply-adds",
                  "the multiply-adds exceed", "1 % in each"});
  expect_refused("{d_model: 512, num_heads: 8, d_ff_multiple: 256}",
                 {"mismatch -6.25 % in parameters", "-6.25 % in multiply-adds", "both exceed",
                  "d_ff_multiple 32"});
}

TEST(DecoderConfig, HeadCountsMustDivide) {
  expect_refused("{d_model: 192, num_heads: 5}", {"num_heads", "5", "192"});
  expect_refused("{num_heads: 3, num_kv_heads: 2}", {"num_kv_heads", "2", "3"});
  expect_refused("{num_heads: 2, num_kv_heads: 4}", {"num_kv_heads", "4", "2"});
  expect_refused("{d_model: 9, num_heads: 3, d_ff: 4}", {"num_heads", "head_dim 3", "even"});
  expect_refused("{head_dim: 7}", {"head_dim", "7", "even"});
  EXPECT_NO_THROW(parse("{d_model: 9, num_heads: 3, d_ff: 4, position: {type: none}}"));
  EXPECT_NO_THROW(parse("{d_model: 192, num_heads: 5, head_dim: 32}"));
}

TEST(DecoderConfig, SizesHaveLimits) {
  for (const char* yaml :
       {"{num_heads: 0}", "{d_model: -1}", "{d_model: 65537}", "{num_layers: 10001}",
        "{head_dim: 4097}", "{d_ff: 0}", "{d_ff_multiple: 0}", "{num_kv_heads: 0}",
        "{vocab_size: 0}", "{dropout: 1}", "{d_ff_reference: 16777217}", "{pad_vocab_multiple: 0}",
        "{init: {std: 0}}", "{norm: {eps: 0}}", "{position: {type: rope, theta: -1}}"}) {
    expect_refused(yaml, {"expected"});
  }
}

}  // namespace
}  // namespace sluice::model
