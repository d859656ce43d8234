#include "eval/generate.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
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

TEST(ChooseToken, MinPKeepsTokensNearTheMostLikely) {
  const auto found = shares(kLogits, {.min_p = 0.6});  // at least 0.6 · 0.4
  EXPECT_EQ(found.size(), 2u);
  EXPECT_NEAR(found.at(1), 4.0 / 7, 1e-3);
  EXPECT_EQ(shares(kLogits, {.min_p = 1}).size(), 1u);
  EXPECT_EQ(shares(kLogits, {.min_p = 0.2}).size(), 4u);
  // The temperature comes first: probabilities proportional to 1, 16, 4, 9.
  EXPECT_EQ(shares(kLogits, {.temperature = 0.5, .min_p = 0.5}).size(), 2u);
}

TEST(ChooseToken, TopPIsAShareOfTheTopK) {
  // of 4/9, 3/9 and 2/9
  EXPECT_EQ(shares(kLogits, {.top_k = 3, .top_p = 0.5}).size(), 2u);
  EXPECT_EQ(shares(kLogits, {.top_k = 3, .top_p = 0.8}).size(), 3u);
  EXPECT_EQ(shares(kLogits, {.top_k = 3, .top_p = 0.8, .min_p = 0.6}).size(), 2u);
}

TEST(ChooseToken, TiesAreBrokenTowardTheLowerId) {
  EXPECT_EQ(shares({1, 2, 2, 2}, {.top_k = 1}),
            (std::map<std::int64_t, double>{{1, shares({1, 2, 2, 2}, {.top_k = 1}).at(1)}}));
  EXPECT_EQ(choose_token({2, 2}, {.temperature = 0}, 0.9), 0);
}

TEST(Penalize, DividesPositiveAndMultipliesNegativeLogitsOnce) {
  std::vector<float> logits{3, -3, 3, -3};
  penalize(logits, std::vector<std::int32_t>{0, 1, 0, 1, 99, -1}, 1.5);
  EXPECT_EQ(logits, (std::vector<float>{2, -4.5f, 3, -3}));
}

TEST(LogProbability, IsTheLogSoftmax) {
  for (const auto& [token, share] :
       std::map<std::int64_t, double>{{0, 0.1}, {1, 0.4}, {2, 0.2}, {3, 0.3}})
    EXPECT_NEAR(log_probability(kLogits, token), std::log(share), 1e-7) << token;
}

TEST(StopFilter, EndsBeforeTheFirstStopStringWhereverTextIsDivided) {
  const std::vector<std::string> stop{"\n\n", "END", "<|im"};
  const std::string text = "one\ntwo EN <|END";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    StopFilter filter(stop);
    const std::size_t sure = filter.final_length(text.substr(0, cut), false);
    EXPECT_FALSE(cut < text.size() && filter.found());
    EXPECT_LE(sure, text.find("END"));
    EXPECT_EQ(filter.final_length(text, false), text.find("END"));
    EXPECT_TRUE(filter.found());
  }
}

TEST(StopFilter, HoldsBackOnlyWhatMayBecomeAStopString) {
  const std::vector<std::string> stop{"abc", "bd"};
  StopFilter filter(stop);
  EXPECT_EQ(filter.final_length("xa", false), 1u);
  EXPECT_EQ(filter.final_length("xab", false), 1u);
  EXPECT_EQ(filter.final_length("xabx", false), 4u);
  EXPECT_EQ(filter.final_length("xabxab", false), 4u);
  EXPECT_EQ(filter.final_length("xabxab", true), 6u);
  EXPECT_FALSE(filter.found());
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

// A byte model without training is likely to generate any byte.
TEST(Generate, TheTextOfAPromptDoesNotDependOnTheBatch) {
  const auto model = byte_model();
  const auto tokenizer = text::make_bytes_tokenizer();
  // Longer than the context of 32 tokens together with the text, in part.
  const std::vector<Prompt> prompts{{"In the beginning", 1},
                                    {"", 2},
                                    {"A prompt that is longer than the window of the model", 3},
                                    {"In the beginning", 1},
                                    {"x", 5}};
  for (const double temperature : {0.0, 1.0}) {
    SamplingConfig config{.num_tokens = 40,
                          .temperature = temperature,
                          .repetition_penalty = 1.2,
                          .log_probabilities = true,
                          .context_length = 32};
    std::vector<Generated> alone;
    for (const Prompt& prompt : prompts) {
      config.seed = prompt.seed;
      alone.push_back(generate(*model, *tokenizer, prompt.text, config));
    }
    for (const std::int64_t batch : {1, 2, 5, 9}) {
      std::size_t next = 0;
      generate_all(*model, *tokenizer, {prompts, batch}, config,
                   [&](std::size_t i, const Generated& got) {
                     EXPECT_EQ(i, next++);
                     EXPECT_EQ(got.text, alone[i].text) << "prompt " << i << ", batch " << batch;
                     EXPECT_EQ(got.log_probabilities, alone[i].log_probabilities);
                   });
      EXPECT_EQ(next, prompts.size());
    }
    EXPECT_EQ(alone[0].text, alone[3].text);
  }
}

// The reference: one forward pass of the whole context per token, with the training's forms.
TEST(Generate, GreedyTextEqualsThatOfFullForwardPasses) {
  const auto model = byte_model();
  const auto tokenizer = text::make_bytes_tokenizer();
  const at::NoGradGuard no_grad;
  std::vector<std::int64_t> ids{256, 'I', 'n'};
  for (int n = 0; n < 50; ++n) {
    const std::vector<std::int64_t> window(
        ids.end() - std::min<std::ptrdiff_t>(32, std::ssize(ids)), ids.end());
    ids.push_back(model->logits({at::tensor(window).unsqueeze(0), {}}, {})[0][-1]
                      .argmax()
                      .item<std::int64_t>());
    if (ids.back() == 256) break;
  }
  const Generated got = generate(*model, *tokenizer, "In",
                                 {.num_tokens = 50, .temperature = 0, .context_length = 32});
  std::vector<std::int64_t> all{256, 'I', 'n'};
  all.insert(all.end(), got.tokens.begin(), got.tokens.end());
  if (got.ended) all.push_back(256);
  EXPECT_EQ(all, ids);
}

TEST(Generate, StopsBeforeAStopStringAndReportsIt) {
  const auto model = byte_model();
  const auto tokenizer = text::make_bytes_tokenizer();
  SamplingConfig config{.num_tokens = 60, .seed = 3, .context_length = 32};
  const std::string whole = generate(*model, *tokenizer, "In the beginning", config).text;
  ASSERT_GT(whole.size(), 20u);
  const std::size_t at = text::character_boundary(whole, 10),
                    end = text::character_boundary(whole, 16);
  config.stop = {"not in the text at all", whole.substr(at, end - at)};
  std::string pieces;
  const Generated cut = generate(*model, *tokenizer, "In the beginning", config,
                                 [&](std::string_view piece) { pieces += piece; });
  EXPECT_EQ(cut.text, whole.substr(0, whole.find(config.stop[1])));
  EXPECT_EQ(pieces, cut.text);
  EXPECT_TRUE(cut.stopped);
  EXPECT_FALSE(cut.ended);
  EXPECT_EQ(generate(*model, *tokenizer, "In the beginning", config).text, cut.text);
}

TEST(Generate, AStopSignalInterruptsAllPrompts) {
  const auto model = byte_model();
  const auto tokenizer = text::make_bytes_tokenizer();
  const std::vector<Prompt> prompts{{"a", 1}, {"b", 2}, {"c", 3}};
  request_stop(SIGTERM);
  std::size_t count = 0;
  generate_all(*model, *tokenizer, {prompts, 2}, {.num_tokens = 9, .context_length = 8},
               [&](std::size_t, const Generated& got) {
                 EXPECT_TRUE(got.interrupted);
                 ++count;
               });
  clear_stop();
  EXPECT_EQ(count, 3u);
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
  expect_usage("a", {.min_p = 1.5});
  expect_usage("a", {.repetition_penalty = 0});
  expect_usage("a", {.stop = {""}});
  expect_usage("a", {.stop = {"\xFF"}});
  EXPECT_EQ(generate(*model, *tokenizer, "a", {.num_tokens = 0}).text, "");
}

}  // namespace
}  // namespace sluice::eval
