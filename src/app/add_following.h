// Options of `sluice report`, `sluice completion` and `sluice man`.
#pragma once

#include <CLI/CLI.hpp>

#include "app/action.h"

namespace sluice::app {

void add_following(CLI::App& app, Action& action);

}  // namespace sluice::app
