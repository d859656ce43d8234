// `sluice completion` and `sluice man`.
#pragma once

#include <CLI/CLI.hpp>

#include <string>

namespace sluice::app {

// Prints the completion script for "bash", "zsh" or "fish". kUsage for another shell.
void completion_command(const CLI::App& program, const std::string& shell);

// Writes a manual page per command to DIR/man1, so that `man -M DIR sluice` shows it. kIo if they
// cannot be written.
void man_command(const CLI::App& program, const std::string& directory);

}  // namespace sluice::app
