// One process at a time prepares a folder. The lock is the kernel's (flock) and ends with the process, however that ends, so none is
// ever stale.
#pragma once

#include <filesystem>

namespace sluice::data {

class FolderLock {
 public:
  // Waits for its turn. kIo where `path` cannot be made, kInterrupted when a stop is requested.
  explicit FolderLock(const std::filesystem::path& path);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int descriptor_;
};

}  // namespace sluice::data
