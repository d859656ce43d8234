// Manual pages in the man(7) language, made from the help of the commands.
#pragma once

#include <string>
#include <string_view>

#include "app/command_tree.h"

namespace sluice::app {

// "sluice", "sluice-config-show"
std::string man_page_name(const ShownCommand& command);
// `version` and `date` ("2026-01-31") are shown at the bottom.
std::string man_page(const ShownCommand& command, std::string_view version, std::string_view date);

}  // namespace sluice::app
