#include "data/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <system_error>
#include <thread>

#include "base/error.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/text_format.h"

namespace sluice::data {

FolderLock::FolderLock(const std::filesystem::path& path)
    : descriptor_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
  const auto fail_lock = [&] {
    fail(ExitCode::kIo, path.string(),
         cat("cannot lock: ", std::generic_category().message(errno)));
  };
  if (descriptor_ < 0) fail_lock();
  try {
    bool logged = false;
    while (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK && errno != EINTR) fail_lock();
      if (!logged) log::info("another process is preparing the same data; waiting for it");
      logged = true;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      throw_if_stopped("waiting for another process to prepare the data");
    }
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

FolderLock::~FolderLock() { ::close(descriptor_); }

}  // namespace sluice::data
