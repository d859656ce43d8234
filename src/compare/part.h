// A part of the cells of a comparison: `compare --cells K/N`. Several parts may run at the same
// time, on one or several machines that share the comparison's directory.
//
// What keeps them apart, with flock(2) on files of that directory:
//
//   DIR/lock               shared by all parts; exclusive for a session without --cells
//   DIR/parts/files/lock   held while a part measures, or writes comparison.json or the report
//   DIR/parts/start/lock   held while a part decides that a run may start
//   DIR/cells/NAME/lock    held while a part trains this run; also in DIR/tune/NAME
//
// The kernel releases them when a process ends, however it ends.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "store/run_directory.h"

namespace sluice::compare {

struct Part {
  std::size_t number = 1, count = 1;  // `number` from 1 to `count`
};

// "3/8"; nullopt if it is not a part.
std::optional<Part> parse_part(std::string_view text);

// The items of the part. The parts of a list are contiguous, their lengths differ by at most one,
// and together they are the list.
template <class T>
std::span<const T> slice_of(std::span<const T> items, const Part& part) {
  const std::size_t begin = items.size() * (part.number - 1) / part.count;
  return items.subspan(begin, items.size() * part.number / part.count - begin);
}

// The longest of the parts of a list, the same for each of them.
inline std::size_t longest_part(std::size_t num_items, const Part& part) {
  return (num_items + part.count - 1) / part.count;
}

// The lock of a directory, which is created if it is missing; nullopt if another process holds it,
// which is then described in `holder`: "in use by pid 17 on node3".
std::optional<store::RunLock> try_lock(const std::filesystem::path& directory,
                                       std::string* holder = nullptr);

// DIRECTORY/parts/files/lock. Waits for it; kInterrupted if a stop is requested meanwhile.
store::RunLock lock_files(const std::filesystem::path& directory);

// DIRECTORY/parts/start/lock, which is held for milliseconds; nullopt if it is still held after a
// tenth of a second.
std::optional<store::RunLock> try_lock_start(const std::filesystem::path& directory);

}  // namespace sluice::compare
