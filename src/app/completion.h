// Completion scripts: `sluice completion bash|zsh|fish`. They complete commands, options, files and
// directories, named values of options, and after --set the keys of the configuration and their
// named values. A script contains everything; completing does not start the program.
#pragma once

#include <span>
#include <string>

#include "app/command_tree.h"
#include "config/flat_settings.h"

namespace sluice::app {

using SettingPaths = std::span<const config::SettingPath>;

std::string bash_completion(const ShownCommand& program, SettingPaths settings);
std::string zsh_completion(const ShownCommand& program, SettingPaths settings);
std::string fish_completion(const ShownCommand& program, SettingPaths settings);

// `text` as one word of a POSIX shell or of zsh, in single quotes.
std::string quoted_word(std::string_view text);
// The first sentence, for lists of options.
std::string first_sentence(std::string_view text);

}  // namespace sluice::app
