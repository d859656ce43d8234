// The first batches of a run as a file, for programs that want to train on exactly the same tokens.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "data/batch_source.h"

namespace sluice::train {

// Writes safetensors with int32 `inputs` [num_steps, batch_sequences, input_length] and `targets` [..., target_length]; targets below 0 are
// not scored. `start`, of an encoder-decoder: also `decoder_inputs`, the targets behind it shifted right by one. kIo where that fails.
void dump_batches(const data::TrainingBatches& batches, std::int64_t num_steps, const std::filesystem::path& path,
                  std::optional<std::int32_t> start = {});

}  // namespace sluice::train
