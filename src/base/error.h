// Errors in two kinds: what a person can mend (UserError) and our own bugs (InvariantError).
//
// A UserError always names the subject, what was received and what would be right, and carries the documented exit code.
// Nothing below src/app calls exit() or writes to stderr.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace sluice {

// Exit codes of the program; docs/exit-codes.md explains each.
enum class ExitCode : int {
  kOk = 0,
  kInternal = 1,
  kUsage = 2,          // command line or configuration
  kBadData = 65,       // an input exists but its content is wrong
  kMissingInput = 66,  // an input does not exist or cannot be read
  kIo = 74,            // disk full, unwritable directory, failed write
  kInterrupted = 75,   // a signal came, everything is saved; run again with --resume
  kPeerLost = 76,
  kDiverged = 77,      // NaN, Inf or a spike, and the policy is to halt
  kNoCheckpoint = 78,  // no checkpoint verifies
};

// A fault a person can mend. what() is one line (or one line per problem): "SUBJECT: RECEIVED; EXPECTED".
class UserError : public std::runtime_error {
 public:
  UserError(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode code() const noexcept { return code_; }

 private:
  ExitCode code_;
};

// A bug of ours: exit code 1, with a request to report it.
class InvariantError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

// Throws UserError. `subject`: the key, file or flag; `received`: what came; `expected`: what would be right.
[[noreturn]] void fail(ExitCode code, std::string_view subject, std::string_view received, std::string_view expected);

// fail() unless `ok`. Where the texts cost something to build, write `if (!ok) fail(...)`.
inline void require(bool ok, ExitCode code, std::string_view subject, std::string_view received, std::string_view expected) {
  if (!ok) fail(code, subject, received, expected);
}

// Throws InvariantError unless `ok`.
void invariant(bool ok, std::string_view what);

}  // namespace sluice
