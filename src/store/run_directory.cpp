#include "store/run_directory.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/text_format.h"
#include "store/checkpoint_listing.h"

namespace sluice::store {
namespace {

enum class Content { kNothing, kRun, kOther };

std::vector<std::string> names_in(const fs::path& path) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error))
    names.push_back(it->path().filename().string());
  if (error) fail(ExitCode::kIo, path.string(), error.message(), "a directory that can be listed");
  return names;
}

bool has(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// A lock file alone is a start that died before it wrote anything. What a run writes, and nothing else, is a run even where it
// died before run.json (NAME.* are temporaries of atomic writes). Beside run.json and config.yaml a person may keep files of their own.
Content content_of(const fs::path& path) {
  constexpr std::array kOurs = {"config.yaml", "run.json", "log.txt", "metrics.jsonl", "result.json", "checkpoints", "lock"};
  std::vector<std::string> names = names_in(path);
  std::erase(names, "lock");
  if (names.empty()) return Content::kNothing;
  if (has(names, "config.yaml") && has(names, "run.json")) return Content::kRun;
  const bool only_ours = std::all_of(names.begin(), names.end(), [&](const std::string& name) {
    return std::any_of(kOurs.begin(), kOurs.end(), [&](std::string_view ours) { return name == ours || name.starts_with(cat(ours, '.')); });
  });
  return only_ours ? Content::kRun : Content::kOther;
}

// Without trailing slash or symbolic link, so that it has a name and renaming moves the directory itself.
fs::path plain_path(const fs::path& path) {
  std::error_code ignored;
  fs::path plain = path.lexically_normal();
  if (plain.filename().empty()) plain = plain.parent_path();
  const bool has_name = !plain.empty() && plain.filename() != "." && plain.filename() != "..";
  if (has_name && !fs::is_symlink(plain, ignored)) return plain;
  return fs::weakly_canonical(plain.empty() ? fs::path(".") : plain, ignored);
}

// What is there, if `mode` can start with it.
Content accepted_content(const fs::path& path, StartMode mode) {
  const Content content = content_of(path);
  if (content == Content::kOther) {
    fail(ExitCode::kUsage, path.string(), "a directory that holds something other than a run",
         "a new directory, an empty one or that of a run");
  }
  if (content == Content::kRun && mode == StartMode::kNew) {
    fail(ExitCode::kUsage, path.string(), "a run already exists", "--resume to continue it, or --fresh to rename it and start again");
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
  // Before the lock file is made, so that a directory which is not ours stays as it is; and again under the lock.
  accepted_content(path, mode);
  RunLock lock(path);
  const bool exists = accepted_content(path, mode) == Content::kRun;
  OpenRun open{RunPaths{path}, std::move(lock), exists, {}, !was_there};
  return mode == StartMode::kFresh ? start_over(std::move(open), file_system) : std::move(open);
}

OpenRun start_over(OpenRun open, FileSystem& file_system) {
  fs::path renamed_to;
  // After a rename everything starts over: another process may have begun a run in the gap, and only the lock tells.
  while (open.existed) {
    renamed_to = rename_old_run(file_system, open.paths.root);
    open = open_run(open.paths.root, StartMode::kResume, file_system);
  }
  open.renamed_to = renamed_to;
  return open;
}

// While the lock is held, so that no other process has begun here.
void abandon(OpenRun open) {
  std::error_code error;
  fs::directory_iterator entry(open.paths.root, error), end;
  if (open.existed || error || entry == end || entry->path() != open.paths.lock() || entry.increment(error) != end || error) return;
  fs::remove(open.paths.lock(), error);
  if (open.made_directory) fs::remove(open.paths.root, error);
}

}  // namespace sluice::store
