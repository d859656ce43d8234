// All writing to disk goes through FileSystem, so that tests can put a fault-injecting twin in its place
// (tests/base/faulty_file_system.h) and replay a crash after every operation.
//
// Errors: UserError kMissingInput for what cannot be opened for reading, kIo for everything that fails while writing
// (with path, bytes needed and the system's reason).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

namespace fs = std::filesystem;

// A file being written. Destruction without close() leaves the file as it is and reports nothing.
class OutputFile {
 public:
  virtual ~OutputFile() = default;
  virtual void write(std::span<const std::byte> bytes) = 0;  // whole span or an error
  virtual void sync() = 0;                                   // fsync
  virtual void close() = 0;
  void write(std::string_view text) { write(std::as_bytes(std::span(text.data(), text.size()))); }
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;
  enum class Mode { kCreate, kAppend };  // kCreate truncates
  virtual std::unique_ptr<OutputFile> open(const fs::path& path, Mode mode) = 0;
  virtual void rename(const fs::path& from, const fs::path& to) = 0;
  virtual void create_directories(const fs::path& path) = 0;                  // on disk when it returns
  virtual void sync_directory(const fs::path& path) = 0;                      // names created, renamed or removed in it are on disk
  virtual void truncate(const fs::path& path, std::uint64_t size_bytes) = 0;  // on disk when it returns
  virtual void remove_all(const fs::path& path) = 0;                          // no error where nothing is there
  virtual std::uint64_t free_bytes(const fs::path& path) = 0;                 // available to this user

  // Writes `path` so that a reader sees the old content or the new, never a part: temporary, sync, rename, sync parent.
  void write_atomically(const fs::path& path, std::string_view content);
};

// The operating system's files.
FileSystem& real_files();

// The whole file. kMissingInput where it is not there; kBadData where it is larger than `max_bytes`.
std::string read_file(const fs::path& path, std::uint64_t max_bytes = std::uint64_t{1} << 40);

// A file mapped read-only into memory. An empty file gives an empty span.
class MappedFile {
 public:
  explicit MappedFile(const fs::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace sluice
