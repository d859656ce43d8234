// The memory that a run needs at its peak, estimated from its configuration. Used by plan.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "train/run_config.h"

namespace sluice::train {

struct MemoryPart {
  std::string name;
  std::uint64_t bytes = 0;
};

// By cause. `arena_elements`: of the model's parameters.
std::vector<MemoryPart> memory_parts(const RunConfig& resolved, std::int64_t vocab_size, std::uint64_t arena_elements);

}  // namespace sluice::train
