#include "eval/score.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <csignal>
#include <numeric>

#include "base/error.h"
#include "base/signals.h"
#include "data/causal_batches.h"
#include "eval/perplexity.h"

namespace sluice::eval {
namespace {

constexpr std::int64_t kContext = 16;
constexpr std::int32_t kEndToken = 256;

std::unique_ptr<model::LanguageModel> scoring_model(at::ScalarType compute = at::kFloat) {
  model::DecoderConfig config;
  config.num_layers = 2;
  config.d_model = 16;
  config.num_heads = 2;
  config.d_ff = std::int64_t{24};
  auto made = model::make_model(config, 257, kContext);
  made->parameters().allocate(at::kCPU, compute, false);
  made->parameters().initialize(1);
  made->parameters().master().mul_(3);
  made->parameters().refresh_compute();
  return made;
}

const std::string kText = "In the beginning God created the heaven and the earth. \xE2\x82\xAC!";

std::vector<Score> scores_of(const model::LanguageModel& model,
                             const std::vector<ScoreRequest>& requests, std::int64_t batch = 8) {
  std::vector<Score> scores;
  score_all(model, *text::make_bytes_tokenizer(), requests,
            {.context_length = kContext, .batch = batch}, [&](std::size_t i, const Score& score) {
              EXPECT_EQ(i, scores.size());
              scores.push_back(score);
            });
  return scores;
}

// ln p of each id after the ids before it, by a forward pass of training of at most kContext ids.
std::vector<double> expected(const model::LanguageModel& model, const std::string& context,
                             const std::string& text) {
  const at::NoGradGuard no_grad;
  std::vector<std::int64_t> ids{kEndToken};
  for (const char c : context) ids.push_back(static_cast<unsigned char>(c));
  std::vector<double> all;
  std::vector<std::int64_t> whole = ids;
  for (const char c : text) whole.push_back(static_cast<unsigned char>(c));
  const std::size_t first = whole.size() - 1 > kContext ? whole.size() - 1 - kContext : 0;
  for (std::size_t i = ids.size(); i < whole.size(); ++i) {
    const std::vector<std::int64_t> read(whole.begin() + static_cast<std::ptrdiff_t>(first),
                                         whole.begin() + static_cast<std::ptrdiff_t>(i));
    const at::Tensor logits =
        model.logits({at::tensor(read).unsqueeze(0), {}}, {})[0][-1].to(at::kDouble);
    all.push_back(at::log_softmax(logits, 0)[whole[i]].item<double>());
  }
  return all;
}

// In windows that the text fills; the last window of other texts reads more than that of `eval`.
TEST(Score, EqualsEvalOnTheSameText) {
  const std::string text = kText.substr(0, 3 * kContext);
  for (const at::ScalarType compute : {at::kFloat, at::kBFloat16}) {
    const auto model = scoring_model(compute);
    std::vector<std::int32_t> ids;
    text::make_bytes_tokenizer()->encode(text, ids);
    const data::TokenStream stream(ids);
    const data::EvaluationWindows windows(stream, {.sequence_length = kContext,
                                                   .stride = kContext,
                                                   .batch_sequences = 3,
                                                   .max_tokens = 0,
                                                   .start = kEndToken});
    const Perplexity eval = measure_perplexity(
        *model, windows, {.num_documents = 1, .num_bytes = text.size()}, at::kCPU, {});
    const Score score = scores_of(*model, {{std::nullopt, text}}).at(0);
    EXPECT_EQ(score.tokens, ids);
    ASSERT_EQ(eval.num_tokens, ids.size());
    // Training rounds the operands of its products to bf16, scoring only the weights.
    EXPECT_NEAR(-score.sum / static_cast<double>(ids.size()), *eval.figures.log_perplexity,
                compute == at::kFloat ? 1e-5 : 5e-3);
    EXPECT_NEAR(
        std::accumulate(score.log_probabilities.begin(), score.log_probabilities.end(), 0.0),
        score.sum, 1e-9);
  }
}

// Each window by passes of training. The harness reads 16 tokens in each of the four windows,
// and scores the remaining 11 of the last one.
TEST(Score, TheLastWindowOfATextIsFull) {
  const auto model = scoring_model();
  const Score score = scores_of(*model, {{std::nullopt, kText}}).at(0);
  ASSERT_EQ(kText.size(), 59);
  ASSERT_EQ(score.log_probabilities.size(), kText.size());
  for (const auto& [begin, end] :
       std::vector<std::pair<std::size_t, std::size_t>>{{0, 16}, {16, 32}, {32, 48}, {48, 59}}) {
    const std::vector<double> want =
        expected(*model, kText.substr(0, begin), kText.substr(begin, end - begin));
    for (std::size_t i = begin; i < end; ++i)
      EXPECT_NEAR(score.log_probabilities[i], want[i - begin], 1e-5) << "token " << i;
  }
}

TEST(Score, AContinuationIsScoredAfterItsContext) {
  const auto model = scoring_model();
  for (const auto& [context, text] : std::vector<std::pair<std::string, std::string>>{
           {"In the", " b"}, {"", "In"}, {"A context that is longer than the window", " is"}}) {
    const Score score = scores_of(*model, {{context, text}}).at(0);
    const std::vector<double> want = expected(*model, context, text);
    ASSERT_EQ(score.log_probabilities.size(), want.size());
    for (std::size_t i = 0; i < want.size(); ++i)
      EXPECT_NEAR(score.log_probabilities[i], want[i], 1e-5) << context << ", token " << i;
  }
}

TEST(Score, BlanksAfterTheContextBelongToTheContinuation) {
  const auto model = scoring_model();
  const auto scores = scores_of(
      *model, {{"In the ", "end"}, {"In the", " end"}, {"  ", "a"}, {"a \u3000\x1f\u00A0", "b"}});
  EXPECT_EQ(scores[0].tokens, scores[1].tokens);
  EXPECT_EQ(scores[0].sum, scores[1].sum);
  EXPECT_EQ(scores[0].num_bytes, 4u);
  EXPECT_EQ(scores[1].num_bytes, 4u);
  EXPECT_EQ(scores[2].tokens, (std::vector<std::int32_t>{' ', ' ', 'a'}));
  EXPECT_EQ(scores[3].tokens,
            (std::vector<std::int32_t>{' ', 0xE3, 0x80, 0x80, 0x1F, 0xC2, 0xA0, 'b'}));
}

TEST(Score, DoesNotDependOnTheBatch) {
  const auto model = scoring_model();
  const std::vector<ScoreRequest> requests{
      {std::nullopt, kText}, {"In", " the"}, {std::nullopt, "x"}, {"longer context", "y"}};
  const auto want = scores_of(*model, requests, 1);
  for (const std::int64_t batch : {2, 3, 50}) {
    const auto got = scores_of(*model, requests, batch);
    for (std::size_t i = 0; i < requests.size(); ++i)
      EXPECT_EQ(got[i].log_probabilities, want[i].log_probabilities) << i << ", batch " << batch;
  }
}

TEST(Score, KnowsWhetherAContinuationIsGreedy) {
  const auto model = scoring_model();
  int num_checked = 0;
  for (char letter = 'a'; letter <= 'z'; ++letter) {
    const std::string context(1, letter);
    const Generated greedy =
        generate(*model, *text::make_bytes_tokenizer(), context,
                 {.num_tokens = 1, .temperature = 0, .context_length = kContext});
    // the continuation must be valid UTF-8 and not a blank
    if (greedy.tokens.empty() || greedy.tokens[0] < '!' || greedy.tokens[0] > '~') continue;
    const std::string best(1, static_cast<char>(greedy.tokens[0]));
    EXPECT_TRUE(scores_of(*model, {{context, best}}).at(0).is_greedy) << letter;
    EXPECT_FALSE(scores_of(*model, {{context, best == "q" ? "z" : "q"}}).at(0).is_greedy);
    ++num_checked;
  }
  EXPECT_GT(num_checked, 3);
}

TEST(Score, RejectsWhatCannotBeScored) {
  const auto model = scoring_model();
  const auto refusal = [&](const ScoreRequest& request) {
    try {
      scores_of(*model, {request});
    } catch (const UserError& error) {
      EXPECT_EQ(error.code(), ExitCode::kBadData);
      return std::string(error.what());
    }
    ADD_FAILURE() << "no UserError";
    return std::string();
  };
  const Origin origin{"f.jsonl:2", ExitCode::kBadData};
  EXPECT_EQ(refusal({std::nullopt, "", origin}),
            "f.jsonl:2: received no tokens to score; expected a text");
  EXPECT_EQ(refusal({"a", "", origin}),
            "f.jsonl:2: received no tokens to score; expected a continuation that adds tokens to "
            "its context");
  EXPECT_NE(refusal({std::nullopt, "\xFF", origin}).find("valid UTF-8"), std::string::npos);
  EXPECT_EQ(refusal({"a", std::string(17, 'x'), origin}),
            "f.jsonl:2: received a continuation of 17 tokens; expected at most 16, the tokens that "
            "the model reads");
}

// An encoder-decoder: blanks of the context are in the encoder's input, those of the continuation
// in the decoder's. The reference is the forward pass of training.
TEST(Score, ScoresPairsOfAnEncoderDecoder) {
  const data::SpanRules rules{.num_pieces = 257, .num_sentinels = 3, .eos = kEndToken};
  model::EncoderDecoderConfig config;
  config.num_layers = 1;
  config.d_model = 16;
  config.num_heads = 2;
  config.d_ff = std::int64_t{24};
  const auto made = model::make_model(config, rules.vocab_size(), {32, 16, kEndToken});
  made->parameters().allocate(at::kCPU, at::kFloat, false);
  made->parameters().initialize(1);
  const std::vector<ScoreRequest> requests{{"a ___ c ___.", "<extra_id_0>xy<extra_id_1>z"},
                                           {"no blanks", "plain"},
                                           {"", "<extra_id_0>"}};
  const std::int64_t s0 = rules.sentinel(0), s1 = rules.sentinel(1), end = kEndToken;
  const std::vector<std::vector<std::int64_t>> inputs{
      {'a', s0, ' ', 'c', s1, '.', end}, {'n', 'o', ' ', 'b', 'l', 'a', 'n', 'k', 's', end}, {end}};
  const std::vector<std::vector<std::int64_t>> targets{
      {s0, 'x', 'y', s1, 'z'}, {'p', 'l', 'a', 'i', 'n'}, {s0}};
  const auto bytes = text::make_bytes_tokenizer();
  const auto scored = [&](const std::vector<ScoreRequest>& of, std::int64_t batch) {
    std::vector<Score> scores;
    score_all(*made, *bytes, of, {.context_length = 4, .batch = batch, .blanks = rules},
              [&](std::size_t, const Score& score) { scores.push_back(score); });
    return scores;
  };
  const auto scores = scored(requests, 8);
  ASSERT_EQ(scores.size(), 3u);
  const at::NoGradGuard no_grad;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const at::Tensor x = at::tensor(inputs[i]).unsqueeze(0), y = at::tensor(targets[i]);
    const at::Tensor nats =
        at::log_softmax(made->logits({x, y.unsqueeze(0)}, {}).squeeze(0).to(at::kDouble), 1)
            .gather(1, y.unsqueeze(1));
    ASSERT_EQ(scores[i].tokens, std::vector<std::int32_t>(targets[i].begin(), targets[i].end()));
    for (std::size_t n = 0; n < targets[i].size(); ++n)
      EXPECT_NEAR(scores[i].log_probabilities[n], nats[static_cast<std::int64_t>(n)].item<double>(),
                  1e-5);
    EXPECT_EQ(scored({requests[i]}, 1)[0].log_probabilities, scores[i].log_probabilities);
  }
  EXPECT_THROW(scored({{std::nullopt, "text"}}, 1), UserError);
  EXPECT_THROW(scored({{"a ___", "<extra_id_1>b"}}, 1), UserError);
  EXPECT_THROW(scored({{"a ___", ""}}, 1), UserError);
}

TEST(Score, AStopSignalEndsIt) {
  const auto model = scoring_model();
  request_stop(SIGTERM);
  EXPECT_THROW(scores_of(*model, {{std::nullopt, kText}}), UserError);
  clear_stop();
}

}  // namespace
}  // namespace sluice::eval
