// Options and arguments with a path as value.
#pragma once

#include <CLI/CLI.hpp>

namespace sluice::app {

// For transform(): expands a leading "~/" that the shell did not expand, as in --run-dir=~/x
// (base/home.h).
CLI::Validator home_path();

}  // namespace sluice::app
