// Options of `sluice generate` and `sluice score`.
#pragma once

#include <CLI/CLI.hpp>

#include "app/action.h"

namespace sluice::app {

void add_generate(CLI::App& app, Action& action);
void add_score(CLI::App& app, Action& action);

}  // namespace sluice::app
