#include <glob.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/text_format.h"
#include "text/documents.h"
#include "text/regular_file.h"

namespace sluice::text {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kExpected =
    "a regular file, a directory with files, or a glob with matches";

using FileId = std::pair<dev_t, ino_t>;

FileId id_of(const struct stat& info) { return {info.st_dev, info.st_ino}; }

bool is_hidden(const fs::path& path) { return path.filename().native().starts_with('.'); }

// Escapes `path` as a glob that matches only itself.
std::string escaped(const fs::path& path) {
  std::string out;
  for (const char c : path.native()) {
    if (std::string_view("*?[\\").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

std::vector<fs::path> glob_matches(const std::string& pattern) {
  std::vector<fs::path> paths;
  glob_t matches{};
  if (::glob(pattern.c_str(), 0, nullptr, &matches) == 0)
    paths.assign(matches.gl_pathv, matches.gl_pathv + matches.gl_pathc);
  ::globfree(&matches);
  return paths;
}

// Directories that match the glob `start`; the working directory if it is empty.
std::vector<fs::path> directories(const std::string& start) {
  std::vector<fs::path> paths = start.empty() ? std::vector<fs::path>{"."} : glob_matches(start);
  std::erase_if(paths, [](const fs::path& path) {
    std::error_code error;
    return !fs::is_directory(path, error);
  });
  return paths;
}

// Directory entries, sorted, except hidden ones.
std::set<fs::path> entries_of(const fs::path& directory) {
  std::error_code error;
  std::set<fs::path> entries;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    if (!is_hidden(entry->path())) entries.insert(entry->path());
  }
  if (error)
    fail(ExitCode::kMissingInput, directory.string(),
         cat("cannot read directory: ", error.message()));
  return entries;
}

// The files found, with their identities, and broken links.
class FoundFiles {
 public:
  void add(const fs::path& path, const struct stat& info) {
    // `link/../a` may differ from `a`.
    const fs::path normal = path.lexically_normal();
    struct stat of_normal {};
    const bool same = ::stat(normal.c_str(), &of_normal) == 0 && id_of(of_normal) == id_of(info);
    files_.emplace(same ? normal : path, id_of(info));
    num_named_ += 1;
  }

  // Stats `path`. Records a broken link and returns false.
  bool stat_entry(const fs::path& path, struct stat& info) {
    if (::stat(path.c_str(), &info) == 0) return true;
    const int error = errno;
    if (error != ENOENT && error != ELOOP)
      fail(ExitCode::kMissingInput, path.string(), cat("cannot read: ", std::strerror(error)));
    broken_links_.insert(path);
    return false;
  }

  std::size_t num_named() const { return num_named_; }

  // The files without duplicates.
  std::vector<fs::path> unique(std::string_view subject, Notes notes) const {
    std::vector<fs::path> files;
    std::map<FileId, const fs::path*> first;
    std::string example;
    for (const auto& [path, id] : files_) {
      const auto [known, is_new] = first.emplace(id, &path);
      if (is_new) {
        files.push_back(path);
      } else if (example.empty()) {
        example = cat(" (e.g. ", path.string(), " is ", known->second->string(), ')');
      }
    }
    if (notes == Notes::kNone) return files;
    const std::size_t num_duplicates = num_named_ - files.size();
    if (num_duplicates > 0)
      log::info(cat(subject, ": skipping ",
                    count_of(static_cast<std::int64_t>(num_duplicates), "duplicate path"), example,
                    "; each file is read once"));
    if (!broken_links_.empty()) {
      log::warn(cat(subject, ": skipping ",
                    count_of(static_cast<std::int64_t>(broken_links_.size()), "broken link"), ": ",
                    broken_links_.begin()->string(),
                    broken_links_.size() > 1 ? " and others" : ""));
    }
    return files;
  }

 private:
  std::map<fs::path, FileId> files_;
  std::size_t num_named_ = 0;
  std::set<fs::path> broken_links_;
};

// Expands patterns to files.
class PathFinder {
 public:
  explicit PathFinder(std::string_view subject) : subject_(subject) {}

  void add_pattern(const std::string& pattern) {
    const std::size_t before = found_.num_named();
    struct stat info {};
    if (::stat(pattern.c_str(), &info) == 0) {
      add_existing(pattern, info);  // an existing name has priority over a glob
      if (found_.num_named() == before) refuse(pattern, "no files in this directory");
      return;
    }
    if (errno != ENOENT && errno != ENOTDIR && errno != ENAMETOOLONG)
      refuse(pattern, cat("cannot read: ", std::strerror(errno)));
    if (::lstat(pattern.c_str(), &info) == 0) refuse(pattern, "broken link");
    add_glob(pattern);
    if (found_.num_named() == before)
      refuse(pattern, pattern.find('{') == std::string::npos
                          ? "not found"
                          : "not found; braces are not expanded");
  }

  const FoundFiles& found() const { return found_; }

 private:
  [[noreturn]] void refuse(const std::string& pattern, std::string_view reason) const {
    fail(ExitCode::kMissingInput, subject_, cat('`', pattern, "` (", reason, ')'), kExpected);
  }

  void add_existing(const fs::path& path, const struct stat& info) {
    if (S_ISDIR(info.st_mode)) {
      std::set<FileId> seen;
      walk(path, info, seen, [this](const fs::path& below, const struct stat& of_it) {
        if (S_ISREG(of_it.st_mode)) found_.add(below, of_it);
      });
    } else if (S_ISREG(info.st_mode)) {
      found_.add(path, info);
    } else {
      refuse(path.string(), kind_of_file(info.st_mode));
    }
  }

  // Visits `directory` and everything below it that is not hidden, sorted by name. Each directory
  // is entered once, even if links form a cycle.
  template <class Visit>
  void walk(const fs::path& directory, const struct stat& info, std::set<FileId>& seen,
            const Visit& visit) {
    if (!seen.insert(id_of(info)).second) return;
    visit(directory, info);
    for (const fs::path& path : entries_of(directory)) {
      struct stat of_entry {};
      if (!found_.stat_entry(path, of_entry)) continue;
      if (S_ISDIR(of_entry.st_mode)) {
        walk(path, of_entry, seen, visit);
      } else {
        visit(path, of_entry);
      }
    }
  }

  void add_glob(const std::string& pattern) {
    const std::size_t stars = pattern.find("**");
    if (stars == std::string::npos) return add_matches(glob_matches(pattern));
    const bool starts = stars == 0 || pattern[stars - 1] == '/';
    const bool ends = stars + 2 == pattern.size() || pattern[stars + 2] == '/';
    if (!starts || !ends)
      refuse(pattern, "`**` must be a whole path component, as in `d/**/*.txt`");
    add_recursive(pattern.substr(0, stars), pattern.substr(std::min(stars + 3, pattern.size())));
  }

  void add_matches(const std::vector<fs::path>& matches) {
    for (const fs::path& path : matches) {
      struct stat info {};
      if (found_.stat_entry(path, info)) add_existing(path, info);
    }
  }

  // Adds the matches of `rest` in every directory that matches `start` and in all directories
  // below.
  void add_recursive(const std::string& start, std::string rest) {
    while (rest.starts_with("**/")) rest.erase(0, 3);
    if (rest.empty() || rest == "**") return add_matches(directories(start));
    std::set<FileId> seen;
    std::vector<fs::path> below;
    for (const fs::path& directory : directories(start)) {
      struct stat info {};
      if (::stat(directory.c_str(), &info) != 0) continue;
      walk(directory, info, seen, [&](const fs::path& found, const struct stat& of_it) {
        if (S_ISDIR(of_it.st_mode)) below.push_back(found);
      });
    }
    std::set<fs::path> matches;  // a match may be reached from several directories
    for (const fs::path& directory : below) {
      const std::string pattern = escaped(directory / "") + rest;
      if (rest.find("**") != std::string::npos) {
        add_glob(pattern);
      } else {
        for (fs::path& path : glob_matches(pattern)) matches.insert(std::move(path));
      }
    }
    add_matches({matches.begin(), matches.end()});
  }

  std::string_view subject_;
  FoundFiles found_;
};

}  // namespace

std::vector<fs::path> expand_paths(const std::vector<std::string>& patterns,
                                   std::string_view subject, Notes notes) {
  PathFinder finder(subject);
  for (const std::string& pattern : patterns) finder.add_pattern(pattern);
  return finder.found().unique(subject, notes);
}

}  // namespace sluice::text
