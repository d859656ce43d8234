// What lies in a checkpoints directory, by name only. Used inside store.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file.h"

namespace sluice::store {

inline constexpr std::string_view kTemporarySuffix = ".tmp-";      // step-N.tmp-PID: being written or deleted
inline constexpr std::string_view kReplacedSuffix = ".replaced-";  // step-N.replaced-PID: step N until its successor is in place

struct CheckpointSlot {
  std::int64_t step = 0;
  bool replaced = false;
  fs::path path;
};

// step-N and step-N.replaced-PID, newest first, a step's own directory before a replaced one. Empty where there is no directory.
std::vector<CheckpointSlot> list_checkpoints(const fs::path& directory);
// step-N.tmp-PID only: other names are not ours to delete.
std::vector<fs::path> list_temporaries(const fs::path& directory);

// Device and inode; nothing where nothing is there.
using Identity = std::pair<std::uint64_t, std::uint64_t>;
std::optional<Identity> identity_of(const fs::path& path);
std::optional<Identity> identity_of(int descriptor);

}  // namespace sluice::store
