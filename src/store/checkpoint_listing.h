// Lists a checkpoints directory, by names only. Internal to store.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file.h"

namespace sluice::store {

// step-N.tmp-PID: being written or deleted
inline constexpr std::string_view kTemporarySuffix = ".tmp-";
// step-N.replaced-PID: step N until its successor is in place
inline constexpr std::string_view kReplacedSuffix = ".replaced-";

struct CheckpointSlot {
  std::int64_t step = 0;
  bool replaced = false;
  fs::path path;
};

// step-N and step-N.replaced-PID, newest first, step-N before the replaced one. Empty if the
// directory does not exist.
std::vector<CheckpointSlot> list_checkpoints(const fs::path& directory);
// step-N.tmp-PID only: other files must not be deleted.
std::vector<fs::path> list_temporaries(const fs::path& directory);

// Device and inode; nullopt if the file does not exist.
using Identity = std::pair<std::uint64_t, std::uint64_t>;
std::optional<Identity> identity_of(const fs::path& path);
std::optional<Identity> identity_of(int descriptor);

}  // namespace sluice::store
