// The first batches of a run as a file, for programs that want to train on exactly the same tokens.
#pragma once

#include <cstdint>
#include <filesystem>

#include "data/causal_batches.h"

namespace sluice::train {

// Writes safetensors with `inputs` and `targets`, int32 [num_steps, batch_sequences, sequence_length]; targets below 0 are not scored.
// kIo where that fails.
void dump_batches(const data::CausalBatches& batches, std::int64_t num_steps, const std::filesystem::path& path);

}  // namespace sluice::train
