// The commands for following runs and for shells: `export`, `report`, `completion`, `man`.
#pragma once

#include <CLI/CLI.hpp>

#include "app/action.h"

namespace sluice::app {

void add_following(CLI::App& app, Action& action);

}  // namespace sluice::app
