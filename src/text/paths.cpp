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

constexpr std::string_view kWanted = "a regular file, a directory with files in it, or a glob that matches some";

using FileId = std::pair<dev_t, ino_t>;

FileId id_of(const struct stat& info) { return {info.st_dev, info.st_ino}; }

bool is_hidden(const fs::path& path) { return path.filename().native().starts_with('.'); }

// `path` as a glob that matches nothing else.
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
  if (::glob(pattern.c_str(), 0, nullptr, &matches) == 0) paths.assign(matches.gl_pathv, matches.gl_pathv + matches.gl_pathc);
  ::globfree(&matches);
  return paths;
}

// Directories that `start` names, a glob; empty: the one we are in.
std::vector<fs::path> directories(const std::string& start) {
  std::vector<fs::path> paths = start.empty() ? std::vector<fs::path>{"."} : glob_matches(start);
  std::erase_if(paths, [](const fs::path& path) {
    std::error_code error;
    return !fs::is_directory(path, error);
  });
  return paths;
}

// Sorted, without hidden ones.
std::set<fs::path> entries_of(const fs::path& directory) {
  std::error_code error;
  std::set<fs::path> entries;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
    if (!is_hidden(entry->path())) entries.insert(entry->path());
  }
  if (error) fail(ExitCode::kMissingInput, directory.string(), error.message(), "a directory that can be read");
  return entries;
}

// The files that were found, each with its identity, and the links that lead nowhere.
class FoundFiles {
 public:
  void add(const fs::path& path, const struct stat& info) {
    // `link/../a` need not be `a`.
    const fs::path normal = path.lexically_normal();
    struct stat of_normal {};
    const bool same = ::stat(normal.c_str(), &of_normal) == 0 && id_of(of_normal) == id_of(info);
    files_.emplace(same ? normal : path, id_of(info));
    num_named_ += 1;
  }

  // Whether `path` leads to something, which `info` then describes. A link that leads nowhere is noted.
  bool look_at(const fs::path& path, struct stat& info) {
    if (::stat(path.c_str(), &info) == 0) return true;
    const int error = errno;
    if (error != ENOENT && error != ELOOP) fail(ExitCode::kMissingInput, path.string(), std::strerror(error), "a file that can be read");
    dead_links_.insert(path);
    return false;
  }

  std::size_t num_named() const { return num_named_; }

  // Each file once.
  std::vector<fs::path> unique(std::string_view subject, Notes notes) const {
    std::vector<fs::path> files;
    std::map<FileId, const fs::path*> first;
    std::string example;
    for (const auto& [path, id] : files_) {
      const auto [known, is_new] = first.emplace(id, &path);
      if (is_new) {
        files.push_back(path);
      } else if (example.empty()) {
        example = cat(", such as ", path.string(), ", which is ", known->second->string());
      }
    }
    if (notes == Notes::kNone) return files;
    const std::size_t again = num_named_ - files.size();
    if (again > 0)
      log::info(cat(subject, ": ", count_of(static_cast<std::int64_t>(again), "path"), again == 1 ? " names" : " name",
                    " a file that another path already names", example, "; each file is read once"));
    if (!dead_links_.empty()) {
      log::warn(cat(subject, ": skipping ", count_of(static_cast<std::int64_t>(dead_links_.size()), "broken link"), ": ",
                    dead_links_.begin()->string(), dead_links_.size() > 1 ? " and others" : ""));
    }
    return files;
  }

 private:
  std::map<fs::path, FileId> files_;
  std::size_t num_named_ = 0;
  std::set<fs::path> dead_links_;
};

// Finds the files that patterns name.
class PathFinder {
 public:
  explicit PathFinder(std::string_view subject) : subject_(subject) {}

  void add_pattern(const std::string& pattern) {
    const std::size_t before = found_.num_named();
    struct stat info {};
    if (::stat(pattern.c_str(), &info) == 0) {
      add_existing(pattern, info);  // a name with brackets in it is a name first
      if (found_.num_named() == before) refuse(pattern, "holds no files");
      return;
    }
    if (errno != ENOENT && errno != ENOTDIR && errno != ENAMETOOLONG) refuse(pattern, cat("cannot be read: ", std::strerror(errno)));
    if (::lstat(pattern.c_str(), &info) == 0) refuse(pattern, "is a link that leads nowhere");
    add_glob(pattern);
    if (found_.num_named() == before)
      refuse(pattern, pattern.find('{') == std::string::npos ? "is not there" : "is not there (braces are not expanded)");
  }

  const FoundFiles& found() const { return found_; }

 private:
  [[noreturn]] void refuse(const std::string& pattern, std::string_view reason) const {
    fail(ExitCode::kMissingInput, subject_, cat('`', pattern, "` ", reason), kWanted);
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
      refuse(path.string(), cat("is ", kind_of_file(info.st_mode), "; a corpus is read several times"));
    }
  }

  // `visit` gets `directory` and everything below it that is not hidden, in the order of names. A directory that links lead back to is
  // entered once.
  template <class Visit>
  void walk(const fs::path& directory, const struct stat& info, std::set<FileId>& seen, const Visit& visit) {
    if (!seen.insert(id_of(info)).second) return;
    visit(directory, info);
    for (const fs::path& path : entries_of(directory)) {
      struct stat of_entry {};
      if (!found_.look_at(path, of_entry)) continue;
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
    if (!starts || !ends) refuse(pattern, "has `**` inside a name; between slashes it stands for directories, as in `d/**/*.txt`");
    add_recursive(pattern.substr(0, stars), pattern.substr(std::min(stars + 3, pattern.size())));
  }

  void add_matches(const std::vector<fs::path>& matches) {
    for (const fs::path& path : matches) {
      struct stat info {};
      if (found_.look_at(path, info)) add_existing(path, info);
    }
  }

  // `rest` in every directory at or below those that `start` names.
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
    std::set<fs::path> matches;  // one match may lie below several of them
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

std::vector<fs::path> expand_paths(const std::vector<std::string>& patterns, std::string_view subject, Notes notes) {
  PathFinder finder(subject);
  for (const std::string& pattern : patterns) finder.add_pattern(pattern);
  return finder.found().unique(subject, notes);
}

}  // namespace sluice::text
