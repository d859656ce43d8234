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

struct StoredSizes {
  std::uint64_t arena_elements = 0;   // of one flat buffer
  std::uint64_t optimizer_bytes = 0;  // optim::StateSize::memory_bytes
};
// By cause.
std::vector<MemoryPart> memory_parts(const RunConfig& resolved, std::int64_t vocab_size, const StoredSizes& stored);

}  // namespace sluice::train
