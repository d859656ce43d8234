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
  // The next token of the script has the highest logit; otherwise lower ids have higher logits.
  at::Tensor logits(const model::Batch& batch, const ops::Context&) const override {
    const auto* ids = static_cast<const std::int64_t*>(batch.inputs_BT.const_data_ptr());
    read_.assign(ids, ids + batch.inputs_BT.numel());
    const std::int64_t T = batch.targets_BT.size(1);
    at::Tensor logits = at::arange(0, -kPadded, -1, at::kFloat).repeat({1, T, 1});
    // the first target is the first sentinel
    for (std::int64_t t = 1; t < T; ++t) {
      const auto place = static_cast<std::size_t>(t) - 1;
      logits.select(1, t).select(1, place < script_.size() ? script_[place] : kEnd).fill_(1000);
    }
    return logits;
  }
  std::optional<std::int32_t> start_id() const override { return 0; }
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
  fill_blanks(model, *text::make_bytes_tokenizer(), rules(), "a ___ b____c", {.num_tokens = 2});
  EXPECT_EQ(model.read(), (std::vector<std::int64_t>{'a', 259, ' ', 'b', 258, 'c', kEnd}));
}

TEST(FillBlanks, SentinelNamesAreBlanks) {
  const Filled filled = fill(" cat\1 mat\3", "The <extra_id_0> sat on the <extra_id_1>.");
  EXPECT_EQ(filled.text, "The cat sat on the mat.");
  EXPECT_EQ(fill("a\1b\3", "___ and <extra_id_1>").text, "a andb");
  EXPECT_EQ(fill("x\3", "<extra_id_> <extra_id_x> ___").text, "<extra_id_> <extra_id_x>x");
  EXPECT_EQ(refusal("1 <extra_id_1> 2"),
            "prompt: received <extra_id_1>; expected <extra_id_0>, since blanks are numbered in "
            "their order from 0");
  EXPECT_NE(refusal("<extra_id_0> <extra_id_00000000000000000000001>").find("<extra_id_1>"),
            std::string::npos);
}

TEST(FillBlanks, ReturnsTheTokensAndTheirLogProbabilities) {
  const ScriptedModel model(script_of("ab\3"));
  const Filled filled = fill_blanks(model, *text::make_bytes_tokenizer(), rules(), "1 ___",
                                    {.num_tokens = 9, .temperature = 0, .log_probabilities = true});
  EXPECT_EQ(filled.tokens, (std::vector<std::int32_t>{'a', 'b'}));
  ASSERT_EQ(filled.log_probabilities.size(), 2u);
  EXPECT_NEAR(filled.log_probabilities[0], 0, 1e-9);  // its logit is 1000, that of others below 0
}

TEST(FillBlanks, RejectsStopStrings) {
  const ScriptedModel model({});
  EXPECT_THROW(fill_blanks(model, *text::make_bytes_tokenizer(), rules(), "___", {.stop = {"x"}}),
               UserError);
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

  // The spans of a prompt do not depend on the batch.
  const std::vector<Prompt> prompts{
      {"The ___ sat on the ___.", 3}, {"A longer text with one ___ in it", 5}, {"___", 3}};
  for (const std::int64_t batch : {1, 2, 3}) {
    std::vector<Filled> all;
    fill_all(*model, *tokenizer, rules(), {prompts, batch}, {.num_tokens = 30},
             [&](std::size_t i, const Filled& filled) {
               EXPECT_EQ(i, all.size());
               all.push_back(filled);
             });
    ASSERT_EQ(all.size(), 3u);
    EXPECT_EQ(all[0].text, once(3).text) << batch;
    EXPECT_EQ(all[1].text, fill_blanks(*model, *tokenizer, rules(), prompts[1].text,
                                       {.num_tokens = 30, .seed = 5})
                               .text);
  }
}

}  // namespace
}  // namespace sluice::eval
