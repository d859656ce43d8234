// Disk that a run's checkpoints take.
#pragma once

#include <cstdint>
#include <optional>

#include "store/checkpoint_config.h"

namespace sluice::store {

// The most checkpoints that will ever lie there at once, the one being written among them, in a run of `num_steps` steps: what is kept, but
// never more than are saved at all (step 0, every every_steps steps, the last step).
std::uint64_t checkpoints_at_once(const CheckpointConfig& config, std::optional<std::int64_t> num_steps);

// a * b, or the largest number where that is larger.
std::uint64_t saturating_product(std::uint64_t a, std::uint64_t b);

}  // namespace sluice::store
