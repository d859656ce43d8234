#include "tests/train/train_support.h"

#include <ATen/ATen.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "base/signals.h"
#include "config/config.h"
#include "train/execution.h"

namespace sluice::train::test {
namespace {

constexpr std::int64_t kVocab = 257, kWidth = 6;

data::PreparedData prepared_in_memory() {
  data::PreparedData data;
  data.directory = "memory";
  data.fingerprint = std::string(32, 'f');
  data.tokenizer = text::make_bytes_tokenizer();
  data.streams[data::Split::kTrain] = data::TokenStream(learnable_ids(2000, kVocab));
  data.streams[data::Split::kValid] = data::TokenStream(learnable_ids(200, kVocab));
  data.counts[data::Split::kValid] = {
      .num_documents = 1, .num_bytes = 200, .num_words = 40, .num_tokens = 200};
  return data;
}

class ObservedBatches final : public data::TrainingBatches {
 public:
  ObservedBatches(const data::TrainingBatches& of,
                  const std::function<void(std::uint64_t)>& on_batch)
      : of_(of), on_batch_(on_batch) {}
  data::Batch batch(std::uint64_t step) const override {
    if (on_batch_) on_batch_(step);
    return of_.batch(step);
  }
  std::uint64_t windows_per_epoch() const override { return of_.windows_per_epoch(); }
  std::uint64_t num_dropped_tokens() const override { return of_.num_dropped_tokens(); }

 private:
  const data::TrainingBatches& of_;
  const std::function<void(std::uint64_t)>& on_batch_;
};

}  // namespace

BigramModel::BigramModel(std::int64_t vocab_size, Disturbance disturbance)
    : disturbance_(std::move(disturbance)) {
  const ops::Init init{.kind = ops::Init::Kind::kNormal, .std = 0.3};
  embedding_ = parameters_.add(
      {.name = "embedding.weight", .shape = {vocab_size, kWidth}, .init = init, .decay = true});
  head_ = parameters_.add(
      {.name = "head.weight", .shape = {vocab_size, kWidth}, .init = init, .decay = true});
}

at::Tensor BigramModel::logits(const model::Batch& batch, const ops::Context&) const {
  return at::matmul(at::embedding(embedding_->value, batch.inputs_BT), head_->value.t());
}

model::Loss BigramModel::loss(const model::Batch& batch, const model::LossScale& scale,
                              const ops::Context& context) const {
  const at::Tensor rows = logits(batch, context).flatten(0, 1);
  const at::Tensor nats =
      at::cross_entropy_loss(rows, batch.targets_BT.flatten(), {}, at::Reduction::Sum, -1)
          .to(at::kDouble);
  const at::Tensor total =
      nats *
      (scale.scale * (context.training && disturbance_ ? disturbance_(batch.inputs_BT) : 1.0));
  return {total, total.detach()};
}

at::Tensor BigramModel::target_nats(const model::Batch& batch, const ops::Context& context) const {
  const at::Tensor rows = logits(batch, context).flatten(0, 1).detach();
  return at::cross_entropy_loss(rows, batch.targets_BT.flatten(), {}, at::Reduction::None, -1)
      .to(at::kDouble)
      .view_as(batch.targets_BT);
}

std::vector<std::int32_t> learnable_ids(std::int64_t count, std::int64_t vocab_size) {
  std::vector<std::int32_t> ids;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto last = static_cast<std::uint64_t>(ids.empty() ? 0 : ids.back());
    const std::uint64_t jump =
        random_below(random_key(5, "text"), static_cast<std::uint64_t>(i), 3);
    ids.push_back(
        static_cast<std::int32_t>((last * 7 + 3 + jump) % static_cast<std::uint64_t>(vocab_size)));
  }
  return ids;
}

model::DecoderConfig small_decoder(std::int64_t d_ff) {
  model::DecoderConfig config;
  config.num_layers = 1;
  config.d_model = 24;
  config.num_heads = 2;
  config.d_ff = d_ff;
  return config;
}

RunConfig small_config() {
  RunConfig config;
  config.corpus.train = {"text.txt"};
  config.tokenizer = text::BytesConfig{};
  config.optimizer = optim::AdamWConfig{.lr = 0.02};
  config.schedule = optim::CosineSchedule{.warmup_steps = 4};
  config.train.steps = 40;
  config.train.batch_sequences = 4;
  config.train.sequence_length = 8;
  config.train.micro_batch_sequences = std::int64_t{2};
  config.train.precision = Precision::kFp32;
  config.train.device = std::string("cpu");
  config.train.threads = std::int64_t{1};
  config.evaluate.every_steps = std::int64_t{10};
  config.checkpoint = {.every_steps = 10, .keep_last = 2, .keep_best = true};
  return config;
}

SmallRun::SmallRun(const std::filesystem::path& directory, RunConfig config,
                   Disturbance disturbance)
    : resolved_(read_resolved(std::move(config))),
      directory_(directory),
      data_(prepared_in_memory()),
      batches_(data_.train(), {.seed = resolved_.config.run.seed,
                               .batch_sequences = resolved_.config.train.batch_sequences,
                               .sequence_length = *resolved_.config.train.sequence_length}),
      model_(kVocab, std::move(disturbance)),
      checkpoints_(directory / "checkpoints") {
  use_threads(resolved_.threads);
  std::filesystem::create_directories(directory);
  model_.parameters().allocate(at::kCPU, at::kFloat, true);
  optimizer_ = optim::make_optimizer(resolved_.config.optimizer, model_.parameters());
}

Progress SmallRun::go(std::int64_t stop_after) {
  Metrics metrics(directory_ / "metrics.jsonl");
  Checkpointer checkpointer(checkpoints_, model_.parameters(), *optimizer_, data_, resolved_);
  const ObservedBatches batches(batches_, on_batch);
  Trainer trainer({.model = model_,
                   .optimizer = *optimizer_,
                   .batches = batches,
                   .data = data_,
                   .run = resolved_},
                  checkpointer, metrics);
  const auto newest = checkpoints_.newest_valid();
  Progress progress = trainer.begin(newest ? std::optional(newest->directory) : std::nullopt);
  const Callback stop{1, [&](const Event& event) {
                        if (on_event) on_event(event.progress.step);
                        if (event.progress.step == stop_after) request_stop(SIGTERM);
                      }};
  struct Clear {
    ~Clear() { clear_stop(); }
  } clear_at_end;
  return trainer.train(std::move(progress), std::array{stop});
}

std::vector<at::Tensor> SmallRun::optimizer_state() const {
  std::vector<at::Tensor> all;
  for (const auto& state : optimizer_->state()) all.push_back(state.tensor.clone());
  return all;
}

std::vector<std::string> SmallRun::metrics() const {
  return metrics_without_time(directory_ / "metrics.jsonl");
}

std::vector<std::string> metrics_without_time(const std::filesystem::path& path) {
  std::vector<std::string> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    nlohmann::ordered_json json = nlohmann::ordered_json::parse(line);
    json.erase("time");
    lines.push_back(json.dump());
  }
  return lines;
}

std::string error_of(ExitCode code, const std::function<void()>& call) {
  try {
    call();
  } catch (const UserError& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no UserError";
  return {};
}

}  // namespace sluice::train::test
