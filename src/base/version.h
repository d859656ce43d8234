// Program version (of the CMake project) and git revision, if known at build time.
#pragma once

#include <string>
#include <string_view>

namespace sluice {

// Part of the hash that identifies a finished run in `sluice compare`. Increment it when a change
// alters the results for the same configuration, data and seed (a changed formula or default, not a
// changed kernel order): finished cells then run again. Version 2: dropout masks are keyed by the
// names of the dropout layers.
inline constexpr int kNumericsVersion = 2;

std::string_view version();       // "0.1.0"
std::string_view git_revision();  // "a1b2c3d", "a1b2c3d-dirty" or ""
std::string build_name();         // both: "0.1.0 (a1b2c3d)"

}  // namespace sluice
