#include "eval/perplexity.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <csignal>
#include <numeric>

#include "base/error.h"
#include "base/random.h"
#include "base/signals.h"
#include "data/causal_batches.h"

namespace sluice::eval {
namespace {

constexpr std::int64_t kVocab = 30, kLength = 16;

std::unique_ptr<model::LanguageModel> small_model(double dropout = 0) {
  model::DecoderConfig config;
  config.num_layers = 2;
  config.d_model = 16;
  config.num_heads = 2;
  config.d_ff = std::int64_t{24};
  config.dropout = dropout;
  auto made = model::make_model(config, kVocab, kLength);
  made->parameters().allocate(at::kCPU, at::kFloat, true);
  made->parameters().initialize(1);
  made->parameters().master().mul_(3);  // away from uniform, logits of order one
  return made;
}

std::vector<std::int32_t> some_ids(std::int64_t count) {
  std::vector<std::int32_t> ids;
  for (std::int64_t i = 0; i < count; ++i)
    ids.push_back(static_cast<std::int32_t>(
        random_below(random_key(9, "ids"), static_cast<std::uint64_t>(i), kVocab)));
  return ids;
}

// −ln p of every token, with one forward pass per token over its context alone; float64 from the
// logits on.
std::vector<double> nats_of_tokens(const model::LanguageModel& model,
                                   const std::vector<std::int32_t>& ids, std::int32_t start) {
  const at::NoGradGuard no_grad;
  std::vector<double> nats;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    // Windows do not overlap; the start token precedes the first.
    const std::size_t window = i / kLength * kLength;
    std::vector<std::int64_t> context;
    for (std::size_t at = window; at <= i; ++at) context.push_back(at == 0 ? start : ids[at - 1]);
    const at::Tensor logits =
        model.logits({at::tensor(context).unsqueeze(0), {}}, {})[0][-1].to(at::kDouble);
    nats.push_back(-at::log_softmax(logits, 0)[ids[i]].item<double>());
  }
  return nats;
}

double nats_token_by_token(const model::LanguageModel& model, const std::vector<std::int32_t>& ids,
                           std::int32_t start) {
  const std::vector<double> nats = nats_of_tokens(model, ids, start);
  return std::accumulate(nats.begin(), nats.end(), 0.0);
}

data::EvaluationWindows::Settings settings(std::int64_t batch_sequences = 3) {
  return {.sequence_length = kLength,
          .stride = kLength,
          .batch_sequences = batch_sequences,
          .max_tokens = 0,
          .start = 7};
}

TEST(Perplexity, MatchesTheDefinitionTokenByToken) {
  const auto model = small_model();
  const std::vector<std::int32_t> ids = some_ids(101);
  const data::TokenStream stream(ids);
  const data::SplitCounts counts{
      .num_documents = 1, .num_bytes = 250, .num_words = 40, .num_tokens = 101};
  const Perplexity result =
      measure_perplexity(*model, data::EvaluationWindows(stream, settings()), counts, at::kCPU, {});
  const double nats = nats_token_by_token(*model, ids, 7);
  EXPECT_EQ(result.num_tokens, 101u);
  EXPECT_NEAR(*result.figures.log_perplexity, nats / 101, 1e-6);
  EXPECT_NEAR(*result.figures.perplexity, std::exp(nats / 101), 1e-5 * *result.figures.perplexity);
  ASSERT_TRUE(result.figures.bits_per_byte && result.figures.word_perplexity);
  EXPECT_NEAR(*result.figures.bits_per_byte, nats / std::log(2.0) / 250, 1e-5);
  EXPECT_NEAR(*result.figures.word_perplexity, std::exp(nats / 40),
              1e-4 * *result.figures.word_perplexity);
}

TEST(Perplexity, DoesNotDependOnTheBatchSize) {
  const auto model = small_model();
  const data::TokenStream stream(some_ids(200));
  const double one =
      *measure_perplexity(*model, data::EvaluationWindows(stream, settings(1)), {}, at::kCPU, {})
           .figures.log_perplexity;
  const double many =
      *measure_perplexity(*model, data::EvaluationWindows(stream, settings(64)), {}, at::kCPU, {})
           .figures.log_perplexity;
  EXPECT_NEAR(one, many, 1e-6);
}

TEST(Perplexity, ALimitedEvaluationHasNoWholeSetFigures) {
  const auto model = small_model();
  const data::TokenStream stream(some_ids(200));
  auto limited = settings();
  limited.max_tokens = 48;
  const Perplexity result =
      measure_perplexity(*model, data::EvaluationWindows(stream, limited),
                         {.num_bytes = 300, .num_words = 50, .num_tokens = 200}, at::kCPU, {});
  EXPECT_EQ(result.num_tokens, 48u);
  EXPECT_FALSE(result.figures.bits_per_byte || result.figures.word_perplexity);
}

// Documents of 40, 1, 39 and 21 tokens end within windows and within batches.
TEST(Perplexity, EachDocumentHasTheNatsOfItsTokens) {
  const auto model = small_model();
  const std::vector<std::int32_t> ids = some_ids(101);
  const std::vector<std::uint64_t> ends{40, 41, 80, 101};
  const data::TokenStream stream(ids, ends);
  const std::vector<double> nats = nats_of_tokens(*model, ids, 7);
  for (const std::int64_t batch_sequences : {1, 3, 100}) {
    const Perplexity result = measure_perplexity(
        *model, data::EvaluationWindows(stream, settings(batch_sequences)), {}, at::kCPU, {});
    ASSERT_EQ(result.documents.size(), ends.size());
    std::uint64_t begin = 0, num_targets = 0;
    double sum = 0;
    for (std::size_t i = 0; i < ends.size(); begin = ends[i++]) {
      const double expected =
          std::accumulate(nats.begin() + static_cast<std::ptrdiff_t>(begin),
                          nats.begin() + static_cast<std::ptrdiff_t>(ends[i]), 0.0);
      EXPECT_EQ(result.documents[i].num_targets, ends[i] - begin);
      EXPECT_NEAR(result.documents[i].nats, expected, 1e-5 * static_cast<double>(ends[i] - begin))
          << "document " << i;
      sum += result.documents[i].nats;
      num_targets += result.documents[i].num_targets;
    }
    EXPECT_EQ(num_targets, result.num_tokens);
    EXPECT_NEAR(sum, *result.figures.log_perplexity * static_cast<double>(result.num_tokens), 1e-9);
  }
}

TEST(Perplexity, ALimitedEvaluationHasNoDocuments) {
  const auto model = small_model();
  const data::TokenStream stream(some_ids(200), {100, 200});
  auto limited = settings();
  limited.max_tokens = 48;
  EXPECT_TRUE(measure_perplexity(*model, data::EvaluationWindows(stream, limited), {}, at::kCPU, {})
                  .documents.empty());
}

TEST(Perplexity, DoesNotChangeTheModelAndIgnoresDropout) {
  const auto model = small_model(0.5);
  const data::TokenStream stream(some_ids(100));
  const at::Tensor before = model->parameters().master().clone();
  const data::EvaluationWindows windows(stream, settings());
  const double first =
      *measure_perplexity(*model, windows, {}, at::kCPU, {.training = true}).figures.log_perplexity;
  EXPECT_EQ(first,
            *measure_perplexity(*model, windows, {}, at::kCPU, {.seed = 8}).figures.log_perplexity);
  EXPECT_NEAR(
      first, *measure_perplexity(*small_model(0), windows, {}, at::kCPU, {}).figures.log_perplexity,
      1e-12);
  EXPECT_TRUE(at::equal(model->parameters().master(), before));
  EXPECT_EQ(model->parameters().gradient().abs().max().item<float>(), 0.0f);
}

TEST(Perplexity, AStopInterruptsIt) {
  const auto model = small_model();
  const data::TokenStream stream(some_ids(100));
  const data::EvaluationWindows windows(stream, settings());
  request_stop(SIGTERM);
  try {
    measure_perplexity(*model, windows, {}, at::kCPU, {});
    ADD_FAILURE() << "not interrupted";
  } catch (const UserError& error) {
    EXPECT_EQ(error.code(), ExitCode::kInterrupted);
  }
  clear_stop();
}

// What an evaluation asks for, in order.
std::string order;

class NotedBatches final : public data::EvaluationBatches {
 public:
  explicit NotedBatches(const data::EvaluationBatches& of) : of_(of) {}
  std::uint64_t num_batches() const override { return of_.num_batches(); }
  data::Batch batch(std::uint64_t index) const override {
    order += "batch ";
    return of_.batch(index);
  }
  std::uint64_t num_targets() const override { return of_.num_targets(); }
  bool is_whole() const override { return of_.is_whole(); }
  std::uint64_t num_dropped_tokens() const override { return of_.num_dropped_tokens(); }
  std::uint64_t num_documents() const override { return of_.num_documents(); }
  std::vector<std::uint32_t> documents_of(std::uint64_t index) const override {
    order += "read ";
    return of_.documents_of(index);
  }

 private:
  const data::EvaluationBatches& of_;
};

// One nat per target.
class NotedModel final : public model::LanguageModel {
 public:
  at::Tensor target_nats(const model::Batch& batch, const ops::Context&) const override {
    order += "compute ";
    return at::ones(batch.targets_BT.sizes(), at::kDouble);
  }
  model::Loss loss(const model::Batch&, const model::LossScale&,
                   const ops::Context&) const override {
    return {};
  }
  at::Tensor logits(const model::Batch&, const ops::Context&) const override { return {}; }
};

std::string order_of_evaluation(std::int64_t window, std::int64_t num_windows) {
  const data::TokenStream stream(
      std::vector<std::int32_t>(static_cast<std::size_t>(window * num_windows), 3));
  data::EvaluationWindows::Settings one = settings(1);
  one.sequence_length = one.stride = window;
  const data::EvaluationWindows windows(stream, one);
  order.clear();
  const Perplexity result =
      measure_perplexity(NotedModel(), NotedBatches(windows), {}, at::kCPU, {});
  EXPECT_EQ(result.documents.at(0).nats, static_cast<double>(window * num_windows));
  return order;
}

// A GPU computes a batch while the next one is prepared: the host waits for values once per 2²⁰
// targets and at the end.
TEST(Perplexity, TheNextBatchIsPreparedBeforeValuesAreRead) {
  EXPECT_EQ(order_of_evaluation(16, 4),
            "batch compute batch compute batch compute batch compute read read read read ");
  EXPECT_EQ(order_of_evaluation(1 << 19, 3),
            "batch compute batch compute read read batch compute read ");
}

}  // namespace
}  // namespace sluice::eval
