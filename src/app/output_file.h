// Files that a command writes for its user.
#pragma once

#include <string>
#include <string_view>

namespace sluice::app {

// kUsage if writing `path` would replace `input` or a file of a run other than its report.html.
// `option`: for the message. `input`: may be empty.
void check_output_file(std::string_view option, const std::string& path,
                       const std::string& input = {});

}  // namespace sluice::app
