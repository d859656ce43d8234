// What a command does once its words are read, and how it ends.
#pragma once

#include <functional>

#include "base/error.h"

namespace sluice::app {

using Action = std::function<void()>;

// Runs `action`, writes out stdout, and turns what is thrown into one message on stderr and an exit code. Where stdout is a pipe without
// a reader, ends the process by SIGPIPE.
ExitCode run_action(const Action& action);

}  // namespace sluice::app
