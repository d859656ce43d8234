#include "interop/staged_directory.h"

#include <unistd.h>

#include <utility>

#include "base/error.h"
#include "base/signals.h"
#include "base/text_format.h"

namespace sluice::interop {
namespace {

void check_stop(const std::filesystem::path& path) {
  if (stop_requested())
    fail(ExitCode::kInterrupted, path.string(),
         cat("stopped by ", stop_signal(), ", nothing was written"));
}

}  // namespace

StagedDirectory::StagedDirectory(std::filesystem::path path, std::string_view option,
                                 FileSystem& files)
    : path_(std::filesystem::absolute(path).lexically_normal()), files_(files) {
  if (!path_.has_filename()) path_ = path_.parent_path();  // "DIR/"
  std::error_code error;
  const bool exists = std::filesystem::exists(std::filesystem::symlink_status(path_, error));
  const bool is_empty = exists && std::filesystem::is_directory(path_, error) &&
                        std::filesystem::is_empty(path_, error) && !error;
  require(!exists || is_empty, ExitCode::kUsage, option,
          cat(printable(path_.string(), 300), " (exists)"), "a new or empty directory");
  temporary_ = path_;
  temporary_ += cat(".tmp-", getpid());
  files_.create_directories(temporary_);
}

StagedDirectory::~StagedDirectory() {
  if (committed_) return;
  std::error_code ignored;
  std::filesystem::remove_all(temporary_, ignored);
}

void StagedDirectory::write(const std::string& name,
                            const std::function<void(OutputFile&)>& content) {
  check_stop(path_);
  const std::unique_ptr<OutputFile> file =
      files_.open(temporary_ / name, FileSystem::Mode::kCreate);
  content(*file);
  file->sync();
  file->close();
}

void StagedDirectory::write(const std::string& name, std::string_view content) {
  write(name, [&](OutputFile& file) { file.write(content); });
}

void StagedDirectory::commit() {
  check_stop(path_);
  files_.sync_directory(temporary_);
  files_.rename(temporary_, path_);
  committed_ = true;
  files_.sync_directory(path_.parent_path());
}

void write_staged(const std::filesystem::path& path, std::string_view option,
                  const std::function<void(OutputFile&)>& content, FileSystem& files) {
  const std::filesystem::path place = std::filesystem::absolute(path).lexically_normal();
  std::error_code ignored;
  require(!std::filesystem::exists(std::filesystem::symlink_status(place, ignored)),
          ExitCode::kUsage, option, cat(printable(place.string(), 300), " (exists)"), "a new file");
  files.create_directories(place.parent_path());
  std::filesystem::path temporary = place;
  temporary += cat(".tmp-", getpid());
  try {
    const std::unique_ptr<OutputFile> file = files.open(temporary, FileSystem::Mode::kCreate);
    content(*file);
    file->sync();
    file->close();
    check_stop(place);
    files.rename(temporary, place);
  } catch (...) {
    std::filesystem::remove(temporary, ignored);
    throw;
  }
  files.sync_directory(place.parent_path());
}

}  // namespace sluice::interop
