// All disk writes go through FileSystem, so that tests can substitute a fault-injecting
// implementation (tests/base/faulty_file_system.h) and simulate a crash after every operation.
//
// Errors: UserError kMissingInput if a file cannot be opened for reading, kIo if a write fails
// (with path, bytes needed and the system's error message).
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

// A file being written. Destruction without close() closes the file and ignores errors.
class OutputFile {
 public:
  virtual ~OutputFile() = default;
  virtual void write(std::span<const std::byte> bytes) = 0;  // all bytes, or throws
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
  // Durable on return.
  virtual void create_directories(const fs::path& path) = 0;
  // Makes names created, renamed or removed in `path` durable.
  virtual void sync_directory(const fs::path& path) = 0;
  // Durable on return.
  virtual void truncate(const fs::path& path, std::uint64_t size_bytes) = 0;
  // No error if `path` does not exist.
  virtual void remove_all(const fs::path& path) = 0;
  // Available to this user.
  virtual std::uint64_t free_bytes(const fs::path& path) = 0;

  // Replaces `path` atomically: a reader sees the old or the new content, never a part. Writes a
  // temporary file, syncs it, renames it and syncs the parent directory.
  void write_atomically(const fs::path& path, std::string_view content);
};

// The operating system's file system.
FileSystem& real_files();

// Reads the whole file. kMissingInput if it cannot be opened, kBadData if it is larger than
// `max_bytes`.
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
