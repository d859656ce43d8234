// Runs a parsed command and maps its errors to exit codes.
#pragma once

#include <functional>

#include "base/error.h"

namespace sluice::app {

using Action = std::function<void()>;

// Thrown by an action that has done its work and ends with a code other than 0, without a message.
struct OtherOutcome {
  int code;
};

// Runs `action` and flushes stdout. Reports an exception as one message on stderr and an exit code.
// Terminates the process by SIGPIPE if stdout is a pipe without a reader.
ExitCode run_action(const Action& action);
// The same for an action that does not write to stdout; for threads.
ExitCode run_reporting(const Action& action);

}  // namespace sluice::app
