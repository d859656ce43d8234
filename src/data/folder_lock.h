// Only one process prepares a folder at a time. The lock is flock(2): the kernel releases it when
// the process ends, so it is never stale.
#pragma once

#include <filesystem>

namespace sluice::data {

class FolderLock {
 public:
  // Waits for the lock. kIo if `path` cannot be created, kInterrupted if a stop is requested.
  explicit FolderLock(const std::filesystem::path& path);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int descriptor_;
};

}  // namespace sluice::data
