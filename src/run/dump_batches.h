// Writes the first batches of a run to a file, so that other programs can train on the same tokens.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "data/batch_source.h"

namespace sluice::run {

// Writes safetensors with int32 `inputs` [num_steps, batch_sequences, input_length] and `targets`
// [..., target_length]; targets below 0 are not scored. With `start` (encoder-decoder), also
// `decoder_inputs`: the targets shifted right by one, beginning with `start`. kIo on failure.
void dump_batches(const data::TrainingBatches& batches, std::int64_t num_steps,
                  const std::filesystem::path& path, std::optional<std::int32_t> start = {});

}  // namespace sluice::run
