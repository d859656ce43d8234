// Content hashes of the corpus files, and detection of changes during preparation.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

#include "base/hash.h"

namespace sluice {
class FileSystem;
}

namespace sluice::data {

struct InputFile {
  std::filesystem::path path;
  std::uint64_t size_bytes = 0;
  std::int64_t modified_ns = 0;  // since 1970
  std::int64_t changed_ns = 0;   // ctime: content or metadata
  std::uint64_t inode = 0, device = 0;
  Hash128 hash;  // of the bytes on disk (not decompressed)
};

// Since 1970.
std::int64_t wall_clock_ns();

// Hashes every file. Hashes are cached in `cache_file` (JSON; ignored if damaged or unwritable): a
// file with the path, size, times, inode and device of an earlier call is not read again. Files
// changed within the last two seconds are not cached. kMissingInput for an unreadable file;
// kInterrupted if a stop is requested.
std::vector<InputFile> hash_inputs(const std::vector<std::filesystem::path>& paths,
                                   const std::filesystem::path& cache_file, FileSystem& files,
                                   std::int64_t (*now_ns)() = &wall_clock_ns);

// kBadData if the content of a file has changed.
void check_unchanged(const std::vector<InputFile>& inputs);

}  // namespace sluice::data
