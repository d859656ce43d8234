#include "text/regular_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/text_format.h"

namespace sluice::text {

namespace {

constexpr std::string_view kExpected = "a regular file";

}  // namespace

std::string_view kind_of_file(mode_t mode) {
  if (S_ISREG(mode)) return "a regular file";
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISSOCK(mode)) return "a socket";
  return S_ISCHR(mode) || S_ISBLK(mode) ? "a device" : "an unknown file type";
}

std::FILE* open_regular_file(const std::filesystem::path& file) {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (descriptor < 0 && (errno == ENXIO || errno == ENODEV))
    fail(ExitCode::kMissingInput, file.string(), "a socket or a device", kExpected);
  if (descriptor < 0)
    fail(ExitCode::kMissingInput, file.string(), cat("cannot open: ", std::strerror(errno)));
  struct stat info {};
  std::FILE* stream = ::fstat(descriptor, &info) == 0 && S_ISREG(info.st_mode)
                          ? ::fdopen(descriptor, "rb")
                          : nullptr;
  if (stream != nullptr) return stream;
  ::close(descriptor);
  fail(ExitCode::kMissingInput, file.string(), kind_of_file(info.st_mode), kExpected);
}

void require_regular_file(const std::filesystem::path& file) {
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0 || S_ISREG(info.st_mode)) return;
  fail(ExitCode::kMissingInput, file.string(), kind_of_file(info.st_mode), kExpected);
}

}  // namespace sluice::text
