// Tilde expansion of paths in configurations and on the command line.
#pragma once

#include <string>
#include <string_view>

namespace sluice {

// Replaces "~" in "~" and "~/x" by the user's home directory (HOME, else the passwd entry) and
// returns any other path unchanged. Write "./~" for a directory named "~". kUsage for "~name/x",
// another user's home, and if the home directory is unknown. `subject`: the key or option with the
// path.
std::string expand_home(std::string_view subject, const std::string& path);

}  // namespace sluice
