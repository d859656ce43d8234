#include "data/input_files.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/text_format.h"

namespace sluice::data {

namespace {

using nlohmann::json;

// The coarsest timestamp granularity of file systems in use (FAT).
constexpr std::int64_t kTimestampNs = 2'000'000'000;
constexpr std::size_t kMaxCacheBytes = 64 << 20;

std::int64_t in_ns(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

InputFile status_of(const std::filesystem::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    fail(ExitCode::kMissingInput, path.string(),
         cat("cannot read: ", std::generic_category().message(errno)));
  }
  return {.path = path,
          .size_bytes = static_cast<std::uint64_t>(info.st_size),
          .modified_ns = in_ns(info.st_mtim),
          .changed_ns = in_ns(info.st_ctim),
          .inode = info.st_ino,
          .device = info.st_dev,
          .hash = {}};
}

Hash128 hash_of_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  Hasher hasher;
  std::vector<char> buffer(1 << 20);
  while (file) {
    throw_if_stopped("reading the corpus");
    file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    hasher.update(std::string_view(buffer.data(), static_cast<std::size_t>(file.gcount())));
  }
  require(file.eof(), ExitCode::kMissingInput, path.string(), "cannot read");
  return hasher.digest();
}

json load_cache(const std::filesystem::path& cache_file) {
  std::error_code ignored;
  if (!std::filesystem::exists(cache_file, ignored)) return json::object();
  try {
    json cache = json::parse(read_file(cache_file, kMaxCacheBytes), nullptr, false);
    return cache.is_object() ? cache : json::object();
  } catch (const UserError&) {
    return json::object();  // the cache only saves time
  }
}

// Programs can set mtime back (cp -p, tar, touch -d), but not ctime.
json stamp_of(const InputFile& file) {
  return json::array({file.size_bytes, file.modified_ns, file.changed_ns, file.inode, file.device});
}

std::optional<Hash128> cached_hash(const json& cache, const InputFile& file,
                                   const std::string& key) {
  const auto entry = cache.find(key);
  if (entry == cache.end() || !entry->is_array() || entry->size() != 3 ||
      (*entry)[0] != stamp_of(file))
    return std::nullopt;
  if (!(*entry)[1].is_number_unsigned() || !(*entry)[2].is_number_unsigned()) return std::nullopt;
  return Hash128{.high = (*entry)[1].get<std::uint64_t>(), .low = (*entry)[2].get<std::uint64_t>()};
}

void store_cache(const std::filesystem::path& cache_file, const json& cache, FileSystem& files) {
  try {
    files.create_directories(cache_file.parent_path());
    files.write_atomically(cache_file, cache.dump());
  } catch (const UserError& error) {
    if (error.code() != ExitCode::kIo) throw;
    log::info(cat(cache_file.string(),
                  ": cannot be written; the corpus will be hashed again at each start"));
  }
}

bool same_stamp(const InputFile& a, const InputFile& b) { return stamp_of(a) == stamp_of(b); }

}  // namespace

std::int64_t wall_clock_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::vector<InputFile> hash_inputs(const std::vector<std::filesystem::path>& paths,
                                   const std::filesystem::path& cache_file, FileSystem& files,
                                   std::int64_t (*now_ns)()) {
  json cache = load_cache(cache_file);
  bool changed = false;
  std::vector<InputFile> inputs;
  for (const std::filesystem::path& path : paths) {
    InputFile file = status_of(path);
    // Hashed because file names need not be UTF-8, but JSON strings must be.
    const std::string key = hash_of(std::filesystem::absolute(path).native()).hex();
    if (const auto known = cached_hash(cache, file, key)) {
      file.hash = *known;
    } else {
      // A second change within the timestamp granularity would keep the same stamp. Checked before
      // the hashing, which takes time.
      const bool stamp_is_reliable =
          now_ns() - std::max(file.modified_ns, file.changed_ns) > kTimestampNs;
      file.hash = hash_of_file(path);
      if (stamp_is_reliable) {
        cache[key] = json::array({stamp_of(file), file.hash.high, file.hash.low});
        changed = true;
      }
    }
    inputs.push_back(std::move(file));
  }
  if (changed) store_cache(cache_file, cache, files);
  return inputs;
}

void check_unchanged(const std::vector<InputFile>& inputs) {
  for (const InputFile& before : inputs) {
    const InputFile now = status_of(before.path);
    // A new stamp alone does not mean new content: a file can be linked, renamed or touched.
    if (same_stamp(now, before) ||
        (now.size_bytes == before.size_bytes && hash_of_file(before.path) == before.hash))
      continue;
    fail(ExitCode::kBadData, before.path.string(), "changed during preparation; run again");
  }
}

}  // namespace sluice::data
