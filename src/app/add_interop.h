// Options of `sluice export` and `sluice import`.
#pragma once

#include <CLI/CLI.hpp>

#include <string>

#include "app/action.h"

namespace sluice::app {

void add_export(CLI::App& app, Action& action);
void add_import(CLI::App& app, Action& action, std::string command_line, std::string program);

}  // namespace sluice::app
