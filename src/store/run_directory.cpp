#include "store/run_directory.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/text_format.h"
#include "store/checkpoint_listing.h"

namespace sluice::store {
namespace {

enum class Content { kNothing, kRun, kOther };

std::vector<std::string> sorted_names_in(const fs::path& path) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error))
    names.push_back(it->path().filename().string());
  if (error) fail(ExitCode::kIo, path.string(), cat("cannot list directory: ", error.message()));
  return names;
}

bool has(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// A lock file alone is left by a start that crashed before writing anything. A directory with only
// files of a run is a run, even if it crashed before run.json (NAME.* are temporaries of atomic
// writes). With run.json and config.yaml, other files are allowed as well.
Content content_of(const fs::path& path) {
  constexpr std::array<std::string_view, 8> kOurs = {"config.yaml",   "run.json",   "log.txt",
                                                     "metrics.jsonl", kEventFile,   "lock",
                                                     "result.json",   "checkpoints"};
  std::vector<std::string> names = sorted_names_in(path);
  std::erase(names, "lock");
  if (names.empty()) return Content::kNothing;
  if (has(names, "config.yaml") && has(names, "run.json")) return Content::kRun;
  const bool only_ours = std::all_of(names.begin(), names.end(), [&](const std::string& name) {
    return std::any_of(kOurs.begin(), kOurs.end(), [&](std::string_view ours) {
      return name == ours || name.starts_with(cat(ours, '.'));
    });
  });
  return only_ours ? Content::kRun : Content::kOther;
}

// Without trailing slash or symbolic link, so that it has a name and a rename moves the directory
// itself.
fs::path plain_path(const fs::path& path) {
  std::error_code ignored;
  fs::path plain = path.lexically_normal();
  if (plain.filename().empty()) plain = plain.parent_path();
  const bool has_name = !plain.empty() && plain.filename() != "." && plain.filename() != "..";
  if (has_name && !fs::is_symlink(plain, ignored)) return plain;
  return fs::weakly_canonical(plain.empty() ? fs::path(".") : plain, ignored);
}

// The content of the directory; kUsage if `mode` does not allow it.
Content accepted_content(const fs::path& path, StartMode mode) {
  const Content content = content_of(path);
  if (content == Content::kOther) {
    fail(ExitCode::kUsage, path.string(), "content other than a run",
         "a new or empty directory, or a run directory");
  }
  if (content == Content::kRun && mode == StartMode::kNew) {
    fail(ExitCode::kUsage, path.string(),
         "run already exists; use --resume to continue or --fresh to archive it and restart");
  }
  return content;
}

fs::path rename_old_run(FileSystem& file_system, const fs::path& path) {
  std::error_code ignored;
  for (int i = 1;; ++i) {
    fs::path old = path;
    old += cat(".old-", i);
    if (fs::exists(fs::symlink_status(old, ignored))) continue;
    file_system.rename(path, old);
    file_system.sync_directory(fs::absolute(path).parent_path());
    return old;
  }
}

}  // namespace

bool is_run_directory(const fs::path& path) {
  std::error_code ignored;
  try {
    return fs::is_directory(path, ignored) && content_of(path) == Content::kRun;
  } catch (const UserError&) {
    return false;
  }
}

OpenRun open_run(const fs::path& given_path, StartMode mode, FileSystem& file_system) {
  const fs::path path = plain_path(given_path);
  std::error_code ignored;
  const bool was_there = fs::exists(path, ignored);
  file_system.create_directories(path);
  // Checked before creating the lock file, so that other directories stay unchanged, and again
  // under the lock.
  accepted_content(path, mode);
  RunLock lock(path);
  const bool exists = accepted_content(path, mode) == Content::kRun;
  OpenRun open{RunPaths{path}, std::move(lock), exists, {}, !was_there};
  return mode == StartMode::kFresh ? start_over(std::move(open), file_system) : std::move(open);
}

OpenRun start_over(OpenRun open, FileSystem& file_system) {
  fs::path renamed_to;
  // After a rename, open again: another process may have started a run in the meantime, which is
  // excluded only under the lock.
  while (open.existed) {
    renamed_to = rename_old_run(file_system, open.paths.root);
    open = open_run(open.paths.root, StartMode::kResume, file_system);
  }
  open.renamed_to = renamed_to;
  return open;
}

// The lock is still held, so no other process has started here.
void abandon(OpenRun open) {
  std::error_code error;
  fs::directory_iterator entry(open.paths.root, error), end;
  if (open.existed || error || entry == end || entry->path() != open.paths.lock() ||
      entry.increment(error) != end || error)
    return;
  fs::remove(open.paths.lock(), error);
  if (open.made_directory) fs::remove(open.paths.root, error);
}

}  // namespace sluice::store
