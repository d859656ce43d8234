#include "base/standard_streams.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace sluice {
namespace {

bool is_null_device(int descriptor) {
  struct stat of_descriptor {
  }, of_null{};
  return ::fstat(descriptor, &of_descriptor) == 0 && ::stat("/dev/null", &of_null) == 0 &&
         of_descriptor.st_rdev == of_null.st_rdev;
}

// Closes a subset of the three streams in a child process. Returns 0 if each closed stream becomes
// the null device with the right access mode, and each open one is unchanged.
int outcome_of(unsigned closed) {
  const pid_t pid = ::fork();
  if (pid != 0) {
    int status = 0;
    ::waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
  }
  int ends[2];
  if (::pipe(ends) != 0) ::_exit(100);
  for (int stream = 0; stream < 3; ++stream) {
    if (::dup2(ends[1], stream) < 0) ::_exit(101);
  }
  for (int stream = 0; stream < 3; ++stream) {
    if ((closed >> stream & 1U) != 0) ::close(stream);
  }
  open_standard_streams();
  for (int stream = 0; stream < 3; ++stream) {
    const bool was_closed = (closed >> stream & 1U) != 0;
    if (is_null_device(stream) != was_closed) ::_exit(1 + stream);
    const int mode = ::fcntl(stream, F_GETFL) & O_ACCMODE;
    if (was_closed && mode != (stream == 0 ? O_RDONLY : O_WRONLY)) ::_exit(11 + stream);
    if ((::fcntl(stream, F_GETFD) & FD_CLOEXEC) != 0) ::_exit(21 + stream);
  }
  const int next = ::open("/dev/null", O_RDONLY);
  ::_exit(next > 2 ? 0 : 31);
}

TEST(StandardStreams, ClosedStreamsBecomeTheNullDevice) {
  for (unsigned closed = 0; closed < 8; ++closed) EXPECT_EQ(outcome_of(closed), 0) << closed;
}

}  // namespace
}  // namespace sluice
