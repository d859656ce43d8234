// Options of `sluice compare` and `sluice audit`.
#pragma once

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

#include "app/action.h"

namespace sluice::app {

// `words`: argv.
void add_compare(CLI::App& app, Action& action, const std::vector<std::string>& words);
void add_audit(CLI::App& app, Action& action);

}  // namespace sluice::app
