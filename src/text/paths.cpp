#include <glob.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/text_format.h"
#include "text/documents.h"

namespace sluice::text {

namespace fs = std::filesystem;

namespace {

bool is_hidden(const fs::path& path) { return path.filename().native().starts_with('.'); }

// Every regular file below `directory`, hidden files and folders left out.
void add_directory(const fs::path& directory, std::set<fs::path>& found) {
  std::error_code error;
  const auto options = fs::directory_options::follow_directory_symlink;
  fs::recursive_directory_iterator walk(directory, options, error), end;
  for (; !error && walk != end; walk.increment(error)) {
    constexpr int kMaxDepth = 64;  // links may form a circle
    if (is_hidden(walk->path()) || walk.depth() > kMaxDepth) {
      walk.disable_recursion_pending();
    } else if (walk->is_regular_file()) {
      found.insert(walk->path());
    }
  }
  if (error) fail(ExitCode::kMissingInput, directory.string(), error.message(), "a directory that can be read");
}

void add_existing(const fs::path& path, std::set<fs::path>& found) {
  if (fs::is_directory(path)) {
    add_directory(path, found);
  } else {
    found.insert(path);
  }
}

void add_glob(const std::string& pattern, std::set<fs::path>& found) {
  glob_t matches{};
  if (::glob(pattern.c_str(), 0, nullptr, &matches) == 0) {
    for (std::size_t i = 0; i < matches.gl_pathc; ++i) add_existing(matches.gl_pathv[i], found);
  }
  ::globfree(&matches);
}

}  // namespace

std::vector<fs::path> expand_paths(const std::vector<std::string>& patterns, std::string_view subject) {
  std::set<fs::path> all;
  for (const std::string& pattern : patterns) {
    std::set<fs::path> found;
    std::error_code error;
    const bool exists = fs::exists(pattern, error);
    if (exists) {
      add_existing(pattern, found);  // a name with brackets in it is a name first
    } else {
      add_glob(pattern, found);
    }
    if (found.empty()) {
      const bool directory = exists && fs::is_directory(pattern, error);
      fail(ExitCode::kMissingInput, subject, directory ? cat("`", pattern, "` holds no files") : cat("`", pattern, "` is not there"),
           "a file, a directory with files in it, or a glob that matches some");
    }
    for (const fs::path& path : found) all.insert(path.lexically_normal());
  }
  return {all.begin(), all.end()};
}

}  // namespace sluice::text
