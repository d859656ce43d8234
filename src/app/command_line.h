// The command line of the program: commands, options and exit codes.
#pragma once

namespace sluice::app {

// Parses the arguments, runs the command and returns the exit code (base/error.h). Each error is
// one message on stderr.
int run(int argc, char** argv);

}  // namespace sluice::app
