#include "app/shell_commands.h"

#include <filesystem>
#include <iostream>

#include "app/command_tree.h"
#include "app/comparison_config.h"
#include "app/completion.h"
#include "app/man_page.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text_format.h"
#include "base/version.h"
#include "config/flat_settings.h"

namespace sluice::app {
namespace {

void write_pages(const ShownCommand& command, const fs::path& directory, std::size_t& count) {
  real_files().write_atomically(directory / (man_page_name(command) + ".1"),
                                man_page(command, version(), utc_timestamp().substr(0, 10)));
  ++count;
  for (const ShownCommand& below : command.commands) write_pages(below, directory, count);
}

}  // namespace

void completion_command(const CLI::App& program, const std::string& shell) {
  const ShownCommand tree = command_tree(program);
  const std::vector<config::SettingPath> settings = config::setting_paths<ComparisonConfig>();
  if (shell == "bash")
    std::cout << bash_completion(tree, settings);
  else if (shell == "zsh")
    std::cout << zsh_completion(tree, settings);
  else if (shell == "fish")
    std::cout << fish_completion(tree, settings);
  else
    fail(ExitCode::kUsage, "SHELL", printable(shell), "bash, zsh or fish");
}

void man_command(const CLI::App& program, const std::string& directory) {
  const fs::path section = fs::path(directory) / "man1";
  real_files().create_directories(section);
  std::size_t count = 0;
  write_pages(command_tree(program), section, count);
  std::cout << count << " pages in " << printable(section.string(), std::string::npos) << "\n";
}

}  // namespace sluice::app
