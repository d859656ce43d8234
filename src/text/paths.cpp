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

// The files that patterns name, each with its identity.
class PathFinder {
 public:
  explicit PathFinder(std::string_view subject) : subject_(subject) {}

  void add_pattern(const std::string& pattern) {
    const std::size_t before = num_named_;
    struct stat info {};
    if (::stat(pattern.c_str(), &info) == 0) {
      add_existing(pattern, info);  // a name with brackets in it is a name first
      if (num_named_ == before) refuse(pattern, "holds no files");
      return;
    }
    if (errno != ENOENT && errno != ENOTDIR && errno != ENAMETOOLONG) refuse(pattern, cat("cannot be read: ", std::strerror(errno)));
    if (::lstat(pattern.c_str(), &info) == 0) refuse(pattern, "is a link that leads nowhere");
    add_glob(pattern);
    if (num_named_ == before)
      refuse(pattern, pattern.find('{') == std::string::npos ? "is not there" : "is not there (braces are not expanded)");
  }

  std::vector<fs::path> take(Notes notes) {
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
      log::info(cat(subject_, ": ", count_of(static_cast<std::int64_t>(again), "path"), again == 1 ? " names" : " name",
                    " a file that another path already names", example, "; each file is read once"));
    if (!dead_links_.empty()) {
      log::warn(cat(subject_, ": skipping ", count_of(static_cast<std::int64_t>(dead_links_.size()), "broken link"), ": ",
                    dead_links_.begin()->string(), dead_links_.size() > 1 ? " and others" : ""));
    }
    return files;
  }

 private:
  [[noreturn]] void refuse(const std::string& pattern, std::string_view reason) const {
    fail(ExitCode::kMissingInput, subject_, cat('`', pattern, "` ", reason), kWanted);
  }

  void add_file(const fs::path& path, const struct stat& info) {
    // `link/../a` need not be `a`.
    const fs::path normal = path.lexically_normal();
    struct stat of_normal {};
    const bool same = ::stat(normal.c_str(), &of_normal) == 0 && id_of(of_normal) == id_of(info);
    files_.emplace(same ? normal : path, id_of(info));
    num_named_ += 1;
  }

  void add_existing(const fs::path& path, const struct stat& info) {
    if (S_ISDIR(info.st_mode)) {
      std::set<FileId> seen;
      walk(
          path, info, seen, [this](const fs::path& file, const struct stat& of_file) { add_file(file, of_file); }, [](const fs::path&) {});
    } else if (S_ISREG(info.st_mode)) {
      add_file(path, info);
    } else {
      refuse(path.string(), cat("is ", kind_of_file(info.st_mode), "; a corpus is read several times"));
    }
  }

  // Everything below `directory` that is not hidden, in the order of names. A directory that links lead back to is entered once.
  template <class EachFile, class EachDirectory>
  void walk(const fs::path& directory, const struct stat& info, std::set<FileId>& seen, const EachFile& each_file,
            const EachDirectory& each_directory) {
    if (!seen.insert(id_of(info)).second) return;
    each_directory(directory);
    std::error_code error;
    std::set<fs::path> entries;
    for (fs::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
      if (!is_hidden(entry->path())) entries.insert(entry->path());
    }
    if (error) fail(ExitCode::kMissingInput, directory.string(), error.message(), "a directory that can be read");
    for (const fs::path& path : entries) {
      struct stat of_entry {};
      if (::stat(path.c_str(), &of_entry) != 0) {
        note_dead_link(path, errno);
      } else if (S_ISDIR(of_entry.st_mode)) {
        walk(path, of_entry, seen, each_file, each_directory);
      } else if (S_ISREG(of_entry.st_mode)) {
        each_file(path, of_entry);
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
      if (::stat(path.c_str(), &info) == 0) {
        add_existing(path, info);
      } else {
        note_dead_link(path, errno);
      }
    }
  }

  void note_dead_link(const fs::path& path, int error) {
    if (error != ENOENT && error != ELOOP) fail(ExitCode::kMissingInput, path.string(), std::strerror(error), "a file that can be read");
    dead_links_.insert(path);
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
      walk(
          directory, info, seen, [](const fs::path&, const struct stat&) {}, [&](const fs::path& found) { below.push_back(found); });
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

  static std::vector<fs::path> directories(const std::string& start) {
    std::vector<fs::path> paths = start.empty() ? std::vector<fs::path>{"."} : glob_matches(start);
    std::erase_if(paths, [](const fs::path& path) {
      std::error_code error;
      return !fs::is_directory(path, error);
    });
    return paths;
  }

  std::string_view subject_;
  std::map<fs::path, FileId> files_;
  std::size_t num_named_ = 0;
  std::set<fs::path> dead_links_;
};

}  // namespace

std::vector<fs::path> expand_paths(const std::vector<std::string>& patterns, std::string_view subject, Notes notes) {
  PathFinder finder(subject);
  for (const std::string& pattern : patterns) finder.add_pattern(pattern);
  return finder.take(notes);
}

}  // namespace sluice::text
