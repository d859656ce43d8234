// Options and arguments that are paths.
#pragma once

#include <CLI/CLI.hpp>

namespace sluice::app {

// For transform(): a path that begins with "~/" and that no shell expanded, as in --run-dir=~/x (base/home.h).
CLI::Validator home_path();

}  // namespace sluice::app
