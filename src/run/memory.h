// Estimates the peak memory of a run from its configuration, for plan.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "train/resolve.h"

namespace sluice::run {

struct MemoryPart {
  std::string name;
  std::uint64_t bytes = 0;
};

struct StoredSizes {
  std::uint64_t arena_elements = 0;   // of one flat buffer
  std::uint64_t optimizer_bytes = 0;  // optim::StateSize::memory_bytes
  // of the program and its libraries before any computation
  std::uint64_t process_bytes = 0;
  // of the prepared tokens that the run reads, in mapped files
  std::uint64_t token_bytes = 0;
};
// Memory of the process while `train` prepares the data. `corpus_bytes`: size of the text.
std::uint64_t preparation_bytes(const train::RunConfig& config, std::uint64_t process_bytes,
                                std::uint64_t corpus_bytes);
// Estimated size of the token files for that much text.
std::uint64_t expected_token_bytes(const train::RunConfig& config, std::uint64_t corpus_bytes);

// Memory by cause, without data preparation.
std::vector<MemoryPart> memory_parts(const train::ResolvedRun& run, std::int64_t vocab_size,
                                     const StoredSizes& stored);

}  // namespace sluice::run
