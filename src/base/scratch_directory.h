// A temporary directory of this process.
#pragma once

#include <filesystem>
#include <string_view>

namespace sluice {

// A new directory under TMPDIR, or /tmp, removed with its contents unless keep() is called.
class ScratchDirectory {
 public:
  // `prefix`: of its name. kIo if it cannot be created.
  explicit ScratchDirectory(std::string_view prefix = "sluice-");
  ~ScratchDirectory();
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }
  void keep() { is_kept_ = true; }

 private:
  std::filesystem::path path_;
  bool is_kept_ = false;
};

}  // namespace sluice
