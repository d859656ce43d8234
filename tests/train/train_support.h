// A small run in memory, for the training tests.
#pragma once

#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "data/causal_batches.h"
#include "tests/base/temporary_directory.h"
#include "train/trainer.h"

namespace sluice::train::test {

// Returns a factor that a test applies to the loss of a batch with the given inputs.
using Disturbance = std::function<double(const at::Tensor& inputs_BT)>;

// Predicts the next token from the last one alone, logits = E[token] Hᵀ. Fast, and its loss can be
// disturbed.
class BigramModel final : public model::LanguageModel {
 public:
  BigramModel(std::int64_t vocab_size, Disturbance disturbance);
  model::Loss loss(const model::Batch& batch, const model::LossScale& scale,
                   const ops::Context& context) const override;
  at::Tensor target_nats(const model::Batch& batch, const ops::Context& context) const override;
  at::Tensor logits(const model::Batch& batch, const ops::Context& context) const override;

 private:
  const ops::Weight *embedding_, *head_;
  Disturbance disturbance_;
};

// A token sequence that a bigram model can learn.
std::vector<std::int32_t> learnable_ids(std::int64_t count, std::int64_t vocab_size);

// One block of width 24 with two heads.
model::DecoderConfig small_decoder(std::int64_t d_ff);

// A resolved configuration for byte tokens: 4 sequences of 8 per step.
RunConfig small_config();

// A process that trains in a run directory, like run/session.cpp but with a bigram model and tokens
// in memory.
class SmallRun {
 public:
  SmallRun(const std::filesystem::path& directory, RunConfig config, Disturbance disturbance = {});
  // Trains from the newest checkpoint, if any, to the end or until `stop_after` steps are finished.
  Progress go(std::int64_t stop_after = -1);
  // Called when a batch is built, and for each event of the loop; may be empty.
  std::function<void(std::uint64_t data_step)> on_batch;
  std::function<void(std::int64_t step)> on_event;

  at::Tensor weights() const { return model_.parameters().master().clone(); }
  std::vector<at::Tensor> optimizer_state() const;
  std::vector<std::string> metrics() const;  // lines without `time`
  std::vector<std::int64_t> checkpoints() const { return checkpoints_.steps(); }
  optim::Optimizer& optimizer() { return *optimizer_; }

 private:
  ResolvedRun resolved_;
  std::filesystem::path directory_;
  data::PreparedData data_;
  data::CausalBatches batches_;
  BigramModel model_;
  std::unique_ptr<optim::Optimizer> optimizer_;
  store::CheckpointStore checkpoints_;
};

// The lines of a metrics file without `time`.
std::vector<std::string> metrics_without_time(const std::filesystem::path& path);

// Returns the message of the UserError that `call` throws, after checking its code.
std::string error_of(ExitCode code, const std::function<void()>& call);

}  // namespace sluice::train::test
