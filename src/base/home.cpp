#include "base/home.h"

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>

#include "base/error.h"
#include "base/text_format.h"

namespace sluice {
namespace {

std::string home_directory() {
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0') return home;
  const passwd* entry = ::getpwuid(::getuid());
  return entry != nullptr && entry->pw_dir != nullptr ? entry->pw_dir : "";
}

}  // namespace

std::string expand_home(std::string_view subject, const std::string& path) {
  if (!path.starts_with('~')) return path;
  const std::size_t slash = path.find('/');
  if (slash != 1 && path != "~")
    fail(ExitCode::kUsage, subject, printable(path, 300),
         cat("an absolute path, ~/ for your home directory, or ./", printable(path, 300),
             " for a name beginning with ~"));
  const std::string home = home_directory();
  if (home.empty())
    fail(ExitCode::kUsage, subject, printable(path, 300), "an absolute path, as HOME is not set");
  return home + path.substr(1);
}

}  // namespace sluice
