// The program's version: that of the CMake project, with the git revision where the build knew one.
#pragma once

#include <string_view>

namespace sluice {

std::string_view version();       // "0.1.0"
std::string_view git_revision();  // "a1b2c3d", "a1b2c3d-dirty" or ""

}  // namespace sluice
