// `~/x` in configurations and on the command line.
#pragma once

#include <string>
#include <string_view>

namespace sluice {

// "~" and "~/x" with the user's home directory (HOME, else the system's entry) in place of "~"; any other path as it is. A directory that is
// really called "~" is written "./~". kUsage for "~name/x", which names another user's home, and where no home is known; `subject` is the
// key or the option that has the path.
std::string expand_home(std::string_view subject, const std::string& path);

}  // namespace sluice
