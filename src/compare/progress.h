// Progress of a run in another process, read from the end of its metrics.jsonl.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace sluice::compare {

struct Progress {
  std::int64_t step = 0;
  double loss = 0;
};

// From the last complete training line; nullopt if there is none. Safe while the file is written.
std::optional<Progress> last_progress(const std::filesystem::path& metrics);

}  // namespace sluice::compare
