#include "train/train_step.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <set>

#include "base/error.h"
#include "tests/train/operation_recorder.h"
#include "tests/train/step_batches.h"

namespace sluice::train {
namespace {

using test::host_reads, test::ignore_targets, test::random_batch, test::small_model;

constexpr std::int64_t kVocab = test::kStepVocab, kLength = test::kStepLength;

struct OneStep {
  double loss, norm;
  at::Tensor weights;
};

OneStep one_step(const data::Batch& batch, const std::vector<std::int64_t>& sizes,
                 double dropout = 0) {
  const auto model = small_model(dropout);
  const auto optimizer = optim::make_optimizer(optim::AdamWConfig{}, model->parameters());
  GradientSums gradients(model->parameters());
  SharedWeights weights(model->parameters(), optimizer->shards(), nullptr);
  std::vector<data::Batch> parts;
  std::int64_t row = 0;
  for (const std::int64_t size : sizes) {
    parts.push_back(batch.rows(row, size));
    row += size;
  }
  const StepStats stats = train_step(*model, *optimizer, {gradients, weights}, parts,
                                     {.seed = 3, .step = 5, .lr = 1e-3});
  EXPECT_EQ(stats.num_targets, batch.num_targets);
  EXPECT_TRUE(stats.applied.item<bool>());
  return {stats.loss.item<double>(), stats.grad_norm.item<double>(),
          model->parameters().master().clone()};
}

void expect_agreement(const OneStep& a, const OneStep& b) {
  EXPECT_NEAR(a.loss, b.loss, 1e-6 * std::abs(b.loss));
  EXPECT_NEAR(a.norm, b.norm, 1e-5 * b.norm);
  // Adam's first step has size lr for any gradient, and rounding decides its sign if the gradient
  // is almost zero. Therefore only the mean is compared.
  const at::Tensor difference = (a.weights - b.weights).abs();
  EXPECT_LT(difference.mean().item<double>(), 1e-6);
}

TEST(TrainStep, MicroBatchSizesAgree) {
  const data::Batch batch = random_batch(6, 1);
  const OneStep whole = one_step(batch, {6});
  for (const std::vector<std::int64_t>& sizes :
       {std::vector<std::int64_t>{3, 3}, {1, 1, 1, 1, 1, 1}, {4, 2}, {1, 5}})
    expect_agreement(one_step(batch, sizes), whole);
}

TEST(TrainStep, MicroBatchSizesAgreeWithUnequalTargetCounts) {
  data::Batch batch = random_batch(6, 2);
  ignore_targets(batch, {12, 1, 7, 0, 0, 3});
  const OneStep whole = one_step(batch, {6});
  for (const std::vector<std::int64_t>& sizes :
       {std::vector<std::int64_t>{3, 3}, {1, 1, 1, 1, 1, 1}, {3, 2, 1}})
    expect_agreement(one_step(batch, sizes), whole);
}

// Not the mean of the micro-batches' means.
TEST(TrainStep, TheLossIsTheMeanOverAllTargetsOfTheStep) {
  data::Batch batch = random_batch(2, 3);
  ignore_targets(batch, {12, 1});
  const auto model = small_model();
  const auto logits =
      model
          ->logits({at::tensor(std::vector<std::int64_t>(batch.inputs.begin(), batch.inputs.end()))
                        .view({2, kLength}),
                    {}},
                   {})
          .to(at::kDouble);
  const at::Tensor log_p = at::log_softmax(logits, -1).view({-1, kVocab});
  double sum = 0;
  for (std::size_t i = 0; i < batch.targets.size(); ++i)
    if (batch.targets[i] >= 0)
      sum -= log_p[static_cast<std::int64_t>(i)][batch.targets[i]].item<double>();
  EXPECT_NEAR(one_step(batch, {1, 1}).loss, sum / 13, 1e-6);
}

TEST(TrainStep, DropoutMasksDoNotDependOnTheMicroBatchSize) {
  const data::Batch batch = random_batch(4, 4);
  const OneStep whole = one_step(batch, {4}, 0.3);
  expect_agreement(one_step(batch, {2, 2}, 0.3), whole);
  expect_agreement(one_step(batch, {1, 3}, 0.3), whole);
  EXPECT_GT(std::abs(whole.loss - one_step(batch, {4}, 0).loss), 1e-4);
}

TEST(TrainStep, OverfitsOneBatch) {
  for (const at::ScalarType compute : {at::kFloat, at::kBFloat16}) {
    const auto model = small_model(0, compute);
    const auto optimizer =
        optim::make_optimizer(optim::AdamWConfig{.weight_decay = 0}, model->parameters());
    GradientSums gradients(model->parameters());
    SharedWeights weights(model->parameters(), optimizer->shards(), nullptr);
    const std::vector<data::Batch> parts{random_batch(2, 5), random_batch(2, 6)};
    double first = 0, last = 0;
    for (std::uint64_t step = 0; step < 150; ++step) {
      last = train_step(*model, *optimizer, {gradients, weights}, parts, {.step = step, .lr = 0.01})
                 .loss.item<double>();
      if (step == 0) first = last;
    }
    EXPECT_NEAR(first, std::log(static_cast<double>(kVocab)), 0.15);
    EXPECT_LT(last, 0.05) << "precision " << compute;
  }
}

TEST(TrainStep, RejectsABatchWithoutTargets) {
  data::Batch batch = random_batch(2, 3);
  ignore_targets(batch, {0, 0});
  const auto model = small_model();
  const auto optimizer = optim::make_optimizer(optim::AdamWConfig{}, model->parameters());
  GradientSums gradients(model->parameters());
  SharedWeights weights(model->parameters(), optimizer->shards(), nullptr);
  EXPECT_THROW(train_step(*model, *optimizer, {gradients, weights}, std::vector{batch}, {}),
               InvariantError);
}

// ---- Invariant 5: a step does not synchronize with the host ----

TEST(TrainStep, NeverSynchronizesWithTheHost) {
  for (const ops::Form form : {ops::Form::kFastest, ops::Form::kReference}) {
    const auto model = small_model(0.1, at::kBFloat16);
    const auto optimizer = optim::make_optimizer(optim::AdamWConfig{}, model->parameters());
    GradientSums gradients(model->parameters());
    SharedWeights weights(model->parameters(), optimizer->shards(), nullptr);
    const std::vector<data::Batch> parts{random_batch(2, 5), random_batch(2, 6)};
    const test::OperationRecorder recorder;
    const StepStats stats =
        train_step(*model, *optimizer, {gradients, weights}, parts,
                   {.lr = 0.01, .form = form, .loss_limit = 1e9, .norm_limit = 1e9});
    const std::multiset<std::string> seen = recorder.seen();
    EXPECT_GT(seen.size(), 5u) << "the recorder recorded nothing";
    EXPECT_EQ(host_reads(seen), std::vector<std::string>{});
    EXPECT_TRUE(stats.applied.item<bool>());
  }
}

TEST(TrainStep, TheRecorderDetectsAHostRead) {
  const test::OperationRecorder recorder;
  at::full({}, 1.0, at::kDouble).item<double>();
  EXPECT_FALSE(host_reads(recorder.seen()).empty());
}

}  // namespace
}  // namespace sluice::train
