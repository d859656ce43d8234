// Implements RunLock (run_directory.h).
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/text_format.h"
#include "store/checkpoint_listing.h"
#include "store/run_directory.h"

namespace sluice::store {
namespace {

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown host";
}

[[noreturn]] void fail_io(const fs::path& path) {
  fail(ExitCode::kIo, path.string(), cat("cannot lock: ", std::generic_category().message(errno)));
}

// "pid 17 on host", as the holder wrote it.
std::string holder_of(int descriptor) {
  std::array<char, 400> text{};
  const ssize_t size = ::pread(descriptor, text.data(), text.size(), 0);
  std::string holder(text.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  while (holder.ends_with('\n')) holder.pop_back();
  return holder.empty() ? "another process" : printable(holder, text.size());
}

bool try_lock(int descriptor, RunLock::Mode mode) {
  const int operation = mode == RunLock::Mode::kShared ? LOCK_SH : LOCK_EX;
  int result = 0;
  do {
    result = ::flock(descriptor, operation | LOCK_NB);
  } while (result != 0 && errno == EINTR);
  return result == 0;
}

void write_holder(int descriptor, const fs::path& path, RunLock::Mode mode) {
  const bool is_shared = mode == RunLock::Mode::kShared;
  const std::string holder = cat(is_shared ? "one or more processes, the last to start being " : "",
                                 "pid ", ::getpid(), " on ", host_name(), "\n");
  const bool ok =
      ::ftruncate(descriptor, 0) == 0 &&
      ::pwrite(descriptor, holder.data(), holder.size(), 0) == static_cast<ssize_t>(holder.size());
  if (!ok) fail_io(path);
}

}  // namespace

RunLock::RunLock(const fs::path& run_root, Mode mode) : RunLock() {
  const fs::path path = run_root / "lock";
  // `--fresh` may rename the run between opening and locking; then this is the lock of the old run.
  while (descriptor_ < 0) {
    RunLock attempt;
    attempt.descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (attempt.descriptor_ < 0) fail_io(path);
    if (!try_lock(attempt.descriptor_, mode)) {
      if (errno != EWOULDBLOCK) fail_io(path);
      fail(ExitCode::kUsage, run_root.string(), cat("in use by ", holder_of(attempt.descriptor_)));
    }
    if (identity_of(path) == identity_of(attempt.descriptor_))
      std::swap(descriptor_, attempt.descriptor_);
  }
  write_holder(descriptor_, path, mode);
}

RunLock::~RunLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

RunLock::RunLock(RunLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

RunLock& RunLock::operator=(RunLock&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

}  // namespace sluice::store
