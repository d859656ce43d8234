// The command `launch`.
#pragma once

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

#include "app/action.h"

namespace sluice::app {

// If this is `sluice launch ... train ...`, sets `arguments` to argv[0] and the words from `train`
// on, which are for the processes, and returns the number of words before.
int take_launched(int argc, char** argv, std::vector<std::string>& arguments);

// `arguments`: see take_launched().
void add_launch(CLI::App& app, Action& action, std::vector<std::string> arguments);

}  // namespace sluice::app
