#include "eval/generate.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <csignal>
#include <map>
#include <set>

#include "base/error.h"
#include "base/random.h"
#include "base/signals.h"
#include "eval/sampling.h"
#include "text/utf8.h"

namespace sluice::eval {
namespace {

// Frequencies of the tokens for evenly spaced `uniform`: the exact distribution, without noise.
std::map<std::int64_t, double> shares(const std::vector<float>& logits,
                                      const SamplingConfig& config) {
  constexpr int kDraws = 20000;
  std::map<std::int64_t, double> counts;
  for (int i = 0; i < kDraws; ++i)
    counts[choose_token(logits, config, (i + 0.5) / kDraws)] += 1.0 / kDraws;
  return counts;
}

// probabilities 0.1, 0.4, 0.2, 0.3
const std::vector<float> kLogits{std::log(1.0f), std::log(4.0f), std::log(2.0f), std::log(3.0f)};

TEST(ChooseToken, FollowsTheSoftmax) {
  const auto found = shares(kLogits, {});
  for (const auto& [token, share] :
       std::map<std::int64_t, double>{{0, 0.1}, {1, 0.4}, {2, 0.2}, {3, 0.3}})
    EXPECT_NEAR(found.at(token), share, 1e-3) << token;
}

TEST(ChooseToken, TemperatureSharpensAndFlattens) {
  // probabilities squared
  EXPECT_NEAR(shares(kLogits, {.temperature = 0.5}).at(1), 16.0 / 30, 1e-3);
  EXPECT_NEAR(shares(kLogits, {.temperature = 1e6}).at(0), 0.25, 1e-3);
  EXPECT_EQ(shares(kLogits, {.temperature = 0}),
            (std::map<std::int64_t, double>{{1, shares(kLogits, {.temperature = 0}).at(1)}}));
}

TEST(ChooseToken, TopKKeepsTheMostLikely) {
  const auto found = shares(kLogits, {.top_k = 2});
  EXPECT_EQ(found.size(), 2u);
  EXPECT_NEAR(found.at(1), 4.0 / 7, 1e-3);
  EXPECT_NEAR(found.at(3), 3.0 / 7, 1e-3);
  EXPECT_EQ(shares(kLogits, {.top_k = 100}).size(), 4u);
}

TEST(ChooseToken, TopPKeepsTheSmallestSetThatReachesIt) {
  EXPECT_EQ(shares(kLogits, {.top_p = 0.39}).size(), 1u);
  const auto found = shares(kLogits, {.top_p = 0.6});  // 0.4 is not enough, 0.4 + 0.3 is
  EXPECT_EQ(found.size(), 2u);
  EXPECT_NEAR(found.at(1), 4.0 / 7, 1e-3);
  EXPECT_EQ(shares(kLogits, {.top_p = 1e-9}).size(), 1u);
}

TEST(ChooseToken, HandlesNonFiniteLogits) {
  const float nan = std::nanf(""), inf = std::numeric_limits<float>::infinity();
  EXPECT_EQ(choose_token({nan, 1.0f, nan}, {}, 0.99), 1);
  EXPECT_EQ(choose_token({0.0f, inf, 0.0f}, {}, 0.99), 1);
  EXPECT_EQ(choose_token({nan, nan}, {}, 0.5), 0);
  EXPECT_EQ(choose_token({0.0f, -inf, 0.0f}, {}, 0.5), 2);
}

TEST(TextStream, HoldsBackIncompleteCharacters) {
  TextStream stream;
  EXPECT_EQ(stream.add("a", false), "a");
  EXPECT_EQ(stream.add("a\xE2", false), "");
  EXPECT_EQ(stream.add("a\xE2\x82", false), "");
  EXPECT_EQ(stream.add("a\xE2\x82\xAC", false), "\xE2\x82\xAC");  // the euro sign
  EXPECT_EQ(stream.add("a\xE2\x82\xAC"
                       "b",
                       true),
            "b");
  EXPECT_EQ(stream.text(),
            "a\xE2\x82\xAC"
            "b");
}

// A tokenizer with byte pieces decodes an incomplete character to replacement characters.
TEST(TextStream, HoldsBackTrailingReplacementCharacters) {
  TextStream stream;
  EXPECT_EQ(stream.add("x\xEF\xBF\xBD", false), "x");
  EXPECT_EQ(stream.add("x\xEF\xBF\xBD\xEF\xBF\xBD", false), "");
  EXPECT_EQ(stream.add("x\xE2\x82\xAC", false), "\xE2\x82\xAC");
}

TEST(TextStream, ReplacesInvalidBytes) {
  TextStream stream;
  EXPECT_EQ(stream.add("\xFF"
                       "a",
                       false),
            "\xEF\xBF\xBD"
            "a");
  EXPECT_EQ(stream.add("\xFF"
                       "a\xC3",
                       true),
            "\xEF\xBF\xBD");
  EXPECT_TRUE(text::is_valid_utf8(stream.text()));
}

std::unique_ptr<model::LanguageModel> byte_model(std::int64_t pad_multiple = 64) {
  at::set_num_threads(1);  // the model is too small for more
  model::DecoderConfig config;
  config.num_layers = 1;
  config.d_model = 16;
  config.num_heads = 2;
  config.d_ff = std::int64_t{24};
  config.pad_vocab_multiple = pad_multiple;
  auto made = model::make_model(config, 257, 32);
  made->parameters().allocate(at::kCPU, at::kFloat, false);
  made->parameters().initialize(1);
  return made;
}

TEST(Generate, IsRepeatableDependsOnTheSeedAndIsValidUtf8) {
  const auto model = byte_model();
  const auto tokenizer = text::make_bytes_tokenizer();
  const SamplingConfig config{.num_tokens = 60, .seed = 3, .context_length = 32};
  const std::string text = generate(*model, *tokenizer, "In the beginning", config).text;
  EXPECT_FALSE(text.empty());
  EXPECT_TRUE(text::is_valid_utf8(text));  // an untrained byte model generates arbitrary bytes
  EXPECT_EQ(generate(*model, *tokenizer, "In the beginning", config).text, text);
  SamplingConfig other = config;
  other.seed = 4;
  EXPECT_NE(generate(*model, *tokenizer, "In the beginning", other).text, text);
}

TEST(Generate, ThePiecesConcatenateToTheText) {
  const auto model = byte_model();
  const auto tokenizer = text::make_bytes_tokenizer();
  std::string pieces;
  const std::string text = generate(*model, *tokenizer, "", {.num_tokens = 60, .context_length = 8},
                                    [&](std::string_view piece) {
                                      EXPECT_TRUE(text::is_valid_utf8(piece));
                                      pieces += piece;
                                    })
                               .text;
  EXPECT_EQ(pieces, text);
}

TEST(Generate, AStopTruncatesTheTextAndIsReported) {
  const auto model = byte_model();
  const auto tokenizer = text::make_bytes_tokenizer();
  const SamplingConfig config{.num_tokens = 60, .temperature = 0, .context_length = 8};
  const Generated whole = generate(*model, *tokenizer, "a", config);
  EXPECT_FALSE(whole.interrupted);
  const Generated cut =
      generate(*model, *tokenizer, "a", config, [](std::string_view) { request_stop(SIGTERM); });
  clear_stop();
  EXPECT_TRUE(cut.interrupted);
  EXPECT_FALSE(cut.text.empty());
  EXPECT_LT(cut.text.size(), whole.text.size());
}

TEST(Generate, NeverSamplesPaddedRowsOfTheVocabulary) {
  const auto model = byte_model(1024);
  model->parameters().master().fill_(0.3f);  // padded rows too, as in a damaged file
  const auto tokenizer = text::make_bytes_tokenizer();
  EXPECT_NO_THROW(generate(*model, *tokenizer, "a", {.num_tokens = 100, .context_length = 16}));
}

TEST(Generate, RejectsInvalidSettings) {
  const auto model = byte_model();
  const auto tokenizer = text::make_bytes_tokenizer();
  const auto expect_usage = [&](std::string_view prompt, const SamplingConfig& config) {
    try {
      generate(*model, *tokenizer, prompt, config);
      ADD_FAILURE() << "accepted";
    } catch (const UserError& error) {
      EXPECT_EQ(error.code(), ExitCode::kUsage) << error.what();
    }
  };
  expect_usage("\xFF", {});
  expect_usage("a", {.temperature = -1});
  expect_usage("a", {.temperature = std::nan("")});
  expect_usage("a", {.top_k = -1});
  expect_usage("a", {.top_p = 0});
  expect_usage("a", {.top_p = 1.5});
  expect_usage("a", {.num_tokens = -1});
  EXPECT_EQ(generate(*model, *tokenizer, "a", {.num_tokens = 0}).text, "");
}

}  // namespace
}  // namespace sluice::eval
