// Output that exists completely or not at all: written as NAME.tmp-PID, then renamed.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "base/file.h"

namespace sluice::interop {

class StagedDirectory {
 public:
  // kUsage, naming `option`, unless `path` does not exist or is an empty directory; kIo if it
  // cannot be created.
  StagedDirectory(std::filesystem::path path, std::string_view option,
                  FileSystem& files = real_files());
  ~StagedDirectory();  // removes everything unless committed
  StagedDirectory(const StagedDirectory&) = delete;
  StagedDirectory& operator=(const StagedDirectory&) = delete;

  // Where to write.
  const std::filesystem::path& temporary() const { return temporary_; }
  // Writes and syncs one file. kInterrupted if a stop was requested (base/signals.h).
  void write(const std::string& name, const std::function<void(OutputFile&)>& content);
  void write(const std::string& name, std::string_view content);
  // Moves the directory into its place. kInterrupted if a stop was requested.
  void commit();

 private:
  std::filesystem::path path_, temporary_;
  FileSystem& files_;
  bool committed_ = false;
};

// The same for one file. kUsage, naming `option`, if `path` exists.
void write_staged(const std::filesystem::path& path, std::string_view option,
                  const std::function<void(OutputFile&)>& content,
                  FileSystem& files = real_files());

}  // namespace sluice::interop
