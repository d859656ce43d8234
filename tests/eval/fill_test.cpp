#include "eval/fill.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "text/utf8.h"

namespace sluice::eval {
namespace {

constexpr std::int32_t kPieces = 257, kEnd = 256, kSentinels = 3, kPadded = 384;

data::SpanRules rules() {
  return {.num_pieces = kPieces, .num_sentinels = kSentinels, .eos = kEnd};
}

// Prefers the tokens of `script`, whatever the input; records the encoder's input.
class ScriptedModel final : public model::LanguageModel {
 public:
  explicit ScriptedModel(std::vector<std::int32_t> script) : script_(std::move(script)) {
    parameters_.add({.name = "nothing", .shape = {1}});
    parameters_.allocate(at::kCPU, at::kFloat, false);
  }
  model::Loss loss(const model::Batch&, const model::LossScale&,
                   const ops::Context&) const override {
    return {};
  }
  at::Tensor target_nats(const model::Batch&, const ops::Context&) const override { return {}; }
  at::Tensor next_logits(const at::Tensor&, const ops::Context&) const override { return {}; }
  at::Tensor logits(const model::Batch&, const ops::Context&) const override { return {}; }
  at::Tensor encode(const at::Tensor& inputs_BS, const ops::Context&) const override {
    const auto* ids = static_cast<const std::int64_t*>(inputs_BS.const_data_ptr());
    read_.assign(ids, ids + inputs_BS.numel());
    return inputs_BS;
  }
  // The next token of the script has the highest logit; otherwise lower ids have higher logits.
  at::Tensor logits_after(const at::Tensor&, const at::Tensor& generated_Bn,
                          const ops::Context&) const override {
    at::Tensor logits = at::arange(0, -kPadded, -1, at::kFloat).view({1, kPadded});
    // generated_Bn begins with the first sentinel
    const auto place = static_cast<std::size_t>(generated_Bn.size(1)) - 1;
    logits.select(1, place < script_.size() ? script_[place] : kEnd).fill_(1000);
    return logits;
  }
  const std::vector<std::int64_t>& read() const { return read_; }

 private:
  std::vector<std::int32_t> script_;
  mutable std::vector<std::int64_t> read_;
};

// \1 and \2 are the second and third sentinel, \3 is the end token.
std::vector<std::int32_t> script_of(const std::string& text) {
  std::vector<std::int32_t> ids;
  for (const char c : text)
    ids.push_back(c == 1 || c == 2 ? rules().sentinel(c)
                  : c == 3         ? kEnd
                                   : static_cast<unsigned char>(c));
  return ids;
}

Filled fill(const std::string& script, const std::string& prompt, std::int64_t num_tokens = 100) {
  const ScriptedModel model(script_of(script));
  return fill_blanks(model, *text::make_bytes_tokenizer(), rules(), prompt,
                     {.num_tokens = num_tokens, .temperature = 0});
}

std::string refusal(const std::string& prompt) {
  try {
    fill("", prompt);
  } catch (const UserError& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    return error.what();
  }
  ADD_FAILURE() << "no UserError";
  return {};
}

TEST(FillBlanks, EachSpanFillsTheBlankOfItsSentinel) {
  const Filled filled = fill(" cat\1 mat\3", "The ___ sat on the ___.");
  EXPECT_EQ(filled.spans, (std::vector<std::string>{" cat", " mat"}));
  EXPECT_EQ(filled.text, "The cat sat on the mat.");
}

TEST(FillBlanks, TheEncoderInputHasSentinelsAndTheEndToken) {
  const ScriptedModel model(script_of("\3"));
  fill_blanks(model, *text::make_bytes_tokenizer(), rules(), "a ___ b____c", {.num_tokens = 1});
  EXPECT_EQ(model.read(), (std::vector<std::int64_t>{'a', 259, ' ', 'b', 258, 'c', kEnd}));
}

TEST(FillBlanks, BlanksMayBeAnywhere) {
  EXPECT_EQ(fill("x\1y\2z\3", "___ and _____ and ___").text, "x andy andz");
  EXPECT_EQ(fill("x\3", "___").text, "x");
  EXPECT_EQ(fill("x\3", "a_b __ c ___").text, "a_b __ cx") << "one or two underscores are text";
}

// The model prefers the end token, a wrong sentinel, or padding; decoding is constrained.
TEST(FillBlanks, EveryBlankGetsItsSpanInOrder) {
  const Filled early = fill("a\3b\1c\3", "1 ___ 2 ___");
  EXPECT_EQ(early.spans.size(), 2u);
  EXPECT_EQ(early.spans[0].substr(0, 1), "a");
  EXPECT_EQ(early.spans[1], "c");
  const Filled skipping = fill("a\2b\1c\2d\3", "1 ___ 2 ___ 3 ___");
  EXPECT_EQ(skipping.spans[1], "c");
  EXPECT_EQ(skipping.spans[2], "d");
}

TEST(FillBlanks, TheLimitOnTokensLeavesLaterBlanksEmpty) {
  const Filled filled = fill("abc\1d\3", "1 ___ 2 ___", 3);  // the first sentinel, then two
  EXPECT_EQ(filled.spans, (std::vector<std::string>{"ab", ""}));
  EXPECT_EQ(filled.text, "1ab 2");
}

TEST(FillBlanks, InvalidUtf8IsReplaced) {
  EXPECT_TRUE(text::is_valid_utf8(fill("\xC3\3", "1 ___ 2").text));
}

TEST(FillBlanks, RejectsInvalidPrompts) {
  EXPECT_EQ(refusal("In the beginning"),
            "prompt: received In the beginning; expected at least one blank, written as three "
            "underscores, e.g. \"The ___ sat on the mat.\"");
  EXPECT_EQ(refusal("___ ___ ___ ___"),
            "prompt: received 4 blanks; expected at most 3, the number of sentinels");
  EXPECT_NE(refusal("\xFF ___").find("UTF-8"), std::string::npos);
}

// An untrained Transformer.
TEST(FillBlanks, IsRepeatableAndDependsOnTheSeed) {
  model::EncoderDecoderConfig config;
  config.num_layers = 1;
  config.d_model = 16;
  config.num_heads = 2;
  config.d_ff = std::int64_t{24};
  const auto model = model::make_model(config, rules().vocab_size(), {32, 16, kEnd});
  model->parameters().allocate(at::kCPU, at::kFloat, false);
  model->parameters().initialize(1);
  const auto tokenizer = text::make_bytes_tokenizer();
  const auto once = [&](std::uint64_t seed) {
    return fill_blanks(*model, *tokenizer, rules(), "The ___ sat on the ___.",
                       {.num_tokens = 30, .seed = seed});
  };
  EXPECT_EQ(once(3).text, once(3).text);
  EXPECT_NE(once(3).text, once(4).text);
  EXPECT_TRUE(text::is_valid_utf8(once(3).text));
}

}  // namespace
}  // namespace sluice::eval
