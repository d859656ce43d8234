// The command line: which command, which options, which exit code.
#pragma once

namespace sluice::app {

// Parses, runs the command and returns the exit code (base/error.h). Every error becomes one clear message on stderr.
int run(int argc, char** argv);

}  // namespace sluice::app
