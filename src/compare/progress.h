// Where a run that trains in another process stands, from the end of its metrics.jsonl.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace sluice::compare {

struct Reading {
  std::int64_t step = 0;
  double loss = 0;
};

// Of the last training line that is whole; nothing where there is none yet. Never throws for a file that is being written.
std::optional<Reading> last_reading(const std::filesystem::path& metrics);

}  // namespace sluice::compare
