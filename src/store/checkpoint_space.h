// Disk space for the checkpoints of a run.
#pragma once

#include <cstdint>
#include <optional>

#include "store/checkpoint_config.h"

namespace sluice::store {

// The maximum number of checkpoints that exist at once in a run of `num_steps` steps, including the
// one being written: those retained, but at most those saved at all (step 0, every every_steps
// steps, the last step).
std::uint64_t checkpoints_at_once(const CheckpointConfig& config,
                                  std::optional<std::int64_t> num_steps);

// a * b, or the largest value on overflow.
std::uint64_t saturating_product(std::uint64_t a, std::uint64_t b);

}  // namespace sluice::store
