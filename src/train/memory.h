// The memory that a run needs at its peak, estimated from its configuration. Used by plan.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "train/resolve.h"

namespace sluice::train {

struct MemoryPart {
  std::string name;
  std::uint64_t bytes = 0;
};

struct StoredSizes {
  std::uint64_t arena_elements = 0;   // of one flat buffer
  std::uint64_t optimizer_bytes = 0;  // optim::StateSize::memory_bytes
  std::uint64_t process_bytes = 0;    // of the program and its libraries before anything is computed
  std::uint64_t token_bytes = 0;      // of the prepared tokens that the run reads; they are mapped files
};
// Where the data is not prepared yet, train prepares it first: what its process holds then.
// `corpus_bytes`: of the text.
std::uint64_t preparation_bytes(const RunConfig& config, std::uint64_t process_bytes, std::uint64_t corpus_bytes);
// Tokens that will stand for that much text, as bytes of their files: an estimate.
std::uint64_t expected_token_bytes(const RunConfig& config, std::uint64_t corpus_bytes);

// By cause; what preparation needs is not among them.
std::vector<MemoryPart> memory_parts(const ResolvedRun& run, std::int64_t vocab_size, const StoredSizes& stored);

}  // namespace sluice::train
