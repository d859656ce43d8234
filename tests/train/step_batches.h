// Random batches and a small decoder, for tests of single steps.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "data/batch.h"
#include "model/language_model.h"

namespace sluice::train::test {

inline constexpr std::int64_t kStepVocab = 50, kStepLength = 12;

data::Batch random_batch(std::int64_t num_sequences, std::uint64_t seed);

// Sequence b keeps its first `kept[b]` targets.
void ignore_targets(data::Batch& batch, const std::vector<std::int64_t>& kept);

// Two layers, initialized. Sets the number of threads to 1: the work is too small for more.
std::unique_ptr<model::LanguageModel> small_model(double dropout = 0,
                                                  at::ScalarType compute = at::kFloat);

}  // namespace sluice::train::test
