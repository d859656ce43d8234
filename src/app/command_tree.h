// The command line as plain data, for shell completion and man pages.
#pragma once

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace sluice::app {

struct ShownOption {
  std::string name;  // "--set"; of an argument "CONFIG"
  std::string type;  // of the value: "FILE", "KEY=VALUE", "auto|threads"; empty: a flag
  std::string description, default_text;
  bool is_argument = false, is_required = false, is_list = false;

  bool takes_value() const { return is_argument || !type.empty(); }
  bool takes_path() const;                   // a file or directory
  bool takes_directory() const;              // only a directory
  std::vector<std::string> choices() const;  // lower-case words of a type "a|b"
};

struct ShownCommand {
  std::string path;  // "config show"; empty for the program
  std::string description, footer;
  std::vector<ShownOption> options;    // without --help
  std::vector<ShownCommand> commands;  // without hidden ones
};

ShownCommand command_tree(const CLI::App& app);

// The program is not in it: every command that has no commands, in order.
std::vector<const ShownCommand*> leaves_of(const ShownCommand& program);

}  // namespace sluice::app
