// The files of a corpus: what they hold, and whether that changed while we read.
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
  std::int64_t changed_ns = 0;   // of content or of anything else about the file (ctime)
  std::uint64_t inode = 0, device = 0;
  Hash128 hash;  // of the file as it lies there, compressed or not
};

// Since 1970.
std::int64_t wall_clock_ns();

// Hashes every file. A file whose path, size, times, inode and device are those of an earlier call is not read again: the hashes are kept
// in `cache_file` (JSON; a damaged one is ignored, and so is one that cannot be written). Files changed within the last seconds are never
// put into it. kMissingInput for what cannot be read; kInterrupted when a stop is requested.
std::vector<InputFile> hash_inputs(const std::vector<std::filesystem::path>& paths, const std::filesystem::path& cache_file,
                                   FileSystem& files, std::int64_t (*now_ns)() = &wall_clock_ns);

// kBadData where the content of a file is no longer what it was.
void check_unchanged(const std::vector<InputFile>& inputs);

}  // namespace sluice::data
