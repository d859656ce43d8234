// The program's version: that of the CMake project, with the git revision where the build knew one.
#pragma once

#include <string>
#include <string_view>

namespace sluice {

// Part of the hash by which `sluice compare` knows a finished run. Raise it, by hand, when a change makes the same configuration, data and seed
// train to other figures than before (another kernel order does not count, another formula or default does): finished cells then run again.
inline constexpr int kNumericsVersion = 2;  // 2: dropout masks follow from the names of their places

std::string_view version();       // "0.1.0"
std::string_view git_revision();  // "a1b2c3d", "a1b2c3d-dirty" or ""
std::string build_name();         // both: "0.1.0 (a1b2c3d)"

}  // namespace sluice
