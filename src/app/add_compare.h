// Options of `sluice compare` and `sluice audit`.
#pragma once

#include <CLI/CLI.hpp>

#include <string>

#include "app/action.h"

namespace sluice::app {

void add_compare(CLI::App& app, Action& action, std::string command_line);
void add_audit(CLI::App& app, Action& action);

}  // namespace sluice::app
