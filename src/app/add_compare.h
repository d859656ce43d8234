// Options of `sluice compare`.
#pragma once

#include <CLI/CLI.hpp>

#include <string>

#include "app/action.h"

namespace sluice::app {

void add_compare(CLI::App& app, Action& action, std::string command_line);

}  // namespace sluice::app
