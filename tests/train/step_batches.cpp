#include "tests/train/step_batches.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "base/random.h"
#include "tests/train/train_support.h"

namespace sluice::train::test {

data::Batch random_batch(std::int64_t num_sequences, std::uint64_t seed) {
  data::Batch batch{
      .num_sequences = num_sequences, .input_length = kStepLength, .target_length = kStepLength};
  const std::uint64_t key = random_key(seed, "batch");
  for (std::int64_t i = 0; i < num_sequences * kStepLength; ++i) {
    batch.inputs.push_back(static_cast<std::int32_t>(
        random_below(key, static_cast<std::uint64_t>(2 * i), kStepVocab)));
    batch.targets.push_back(static_cast<std::int32_t>(
        random_below(key, static_cast<std::uint64_t>(2 * i + 1), kStepVocab)));
  }
  batch.num_targets = num_sequences * kStepLength;
  return batch;
}

void ignore_targets(data::Batch& batch, const std::vector<std::int64_t>& kept) {
  for (std::int64_t b = 0; b < batch.num_sequences; ++b)
    for (std::int64_t t = kept[static_cast<std::size_t>(b)]; t < kStepLength; ++t) {
      batch.targets[static_cast<std::size_t>(b * kStepLength + t)] = data::kIgnoredTarget;
      --batch.num_targets;
    }
}

std::unique_ptr<model::LanguageModel> small_model(double dropout, at::ScalarType compute) {
  at::set_num_threads(1);
  model::DecoderConfig config = small_decoder(40);
  config.num_layers = 2;
  config.dropout = dropout;
  auto made = model::make_model(config, kStepVocab, kStepLength);
  made->parameters().allocate(at::kCPU, compute, true);
  made->parameters().initialize(1);
  return made;
}

}  // namespace sluice::train::test
