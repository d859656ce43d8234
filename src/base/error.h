// Two kinds of errors: UserError for what the user can fix, InvariantError for bugs in Sluice.
//
// Every UserError is one line (or one line per problem) of one of two shapes:
//
//   SUBJECT: received X; expected Y    a value is wrong
//   SUBJECT: STATEMENT                 there is no value: "file not found", "missing argument;
//                                      expected a configuration file", "run already exists; use
//                                      --resume to continue or --fresh to start over"
//
//   SUBJECT  a key, an option or a file: "corpus.train", "--jobs", "a.txt"
//   X        a value or a noun phrase: "`1-2`", "a directory", "damaged gzip data"
//   Y        a noun phrase: "a regular file", "a whole number from 1 to 1024"
//
// Nothing below src/app calls exit() or writes to stderr.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace sluice {

// Exit codes of the program; see docs/exit-codes.md.
enum class ExitCode : int {
  kOk = 0,
  kInternal = 1,
  kUsage = 2,          // command line or configuration
  kBadData = 65,       // an input exists but its content is invalid
  kMissingInput = 66,  // an input does not exist or cannot be read
  kIo = 74,            // disk full, unwritable directory, failed write
  kInterrupted = 75,   // stopped by a signal after saving; run again with --resume
  kPeerLost = 76,      // another process of a distributed run is lost
  kDiverged = 77,      // NaN, Inf or a loss spike, and the policy is to halt
  kNoCheckpoint = 78,  // no checkpoint verifies
};

// An error that the user can fix.
class UserError : public std::runtime_error {
 public:
  UserError(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode code() const noexcept { return code_; }

 private:
  ExitCode code_;
};

// A bug in Sluice: exit code 1, with a request to report it.
class InvariantError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

// Throw UserError in the two shapes above; the words "received" and "expected" of the first one are
// added here. Control characters and line feeds are escaped: see printable().
[[noreturn]] void fail(ExitCode code, std::string_view subject, std::string_view received,
                       std::string_view expected);
[[noreturn]] void fail(ExitCode code, std::string_view subject, std::string_view statement);

// fail() unless `ok`. If the texts are expensive to build, write `if (!ok) fail(...)`.
inline void require(bool ok, ExitCode code, std::string_view subject, std::string_view received,
                    std::string_view expected) {
  if (!ok) fail(code, subject, received, expected);
}
inline void require(bool ok, ExitCode code, std::string_view subject, std::string_view statement) {
  if (!ok) fail(code, subject, statement);
}

// Throws InvariantError unless `ok`.
void invariant(bool ok, std::string_view what);

}  // namespace sluice
