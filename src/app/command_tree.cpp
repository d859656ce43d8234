#include "app/command_tree.h"

#include <algorithm>

#include "base/text_format.h"

namespace sluice::app {
namespace {

ShownOption as_shown(const CLI::Option& option) {
  const bool is_argument = option.get_lnames().empty() && option.get_snames().empty();
  const bool takes_value = option.get_items_expected_max() > 0;
  ShownOption one{.name = is_argument ? option.get_name() : cat("--", option.get_lnames().front()),
                  .type = takes_value ? option.get_type_name() : "",
                  .description = option.get_description(),
                  .default_text = option.get_default_str(),
                  .is_argument = is_argument,
                  .is_required = option.get_required(),
                  .is_list = option.get_items_expected_max() > 1};
  if (takes_value && one.type.empty()) one.type = "TEXT";
  return one;
}

ShownCommand as_shown(const CLI::App& app, const std::string& path) {
  ShownCommand command{.path = path,
                       .description = app.get_description(),
                       .footer = app.get_footer(),
                       .options = {},
                       .commands = {}};
  for (const CLI::Option* option : app.get_options())
    if (option != app.get_help_ptr() && !option->get_group().empty())
      command.options.push_back(as_shown(*option));
  for (const CLI::App* below : app.get_subcommands({}))
    if (!below->get_group().empty())
      command.commands.push_back(
          as_shown(*below, cat(path, path.empty() ? "" : " ", below->get_name())));
  return command;
}

void add_leaves(const ShownCommand& command, std::vector<const ShownCommand*>& leaves) {
  for (const ShownCommand& below : command.commands) {
    if (below.commands.empty()) leaves.push_back(&below);
    add_leaves(below, leaves);
  }
}

bool starts_with_any(const std::string& text, std::initializer_list<std::string_view> starts) {
  return std::any_of(starts.begin(), starts.end(),
                     [&](std::string_view start) { return text.starts_with(start); });
}

}  // namespace

bool ShownOption::takes_directory() const {
  return starts_with_any(type, {"DIR"}) || (is_argument && name == "RUN");
}

bool ShownOption::takes_path() const {
  return takes_directory() || starts_with_any(type, {"FILE"}) || (is_argument && name == "CONFIG");
}

std::vector<std::string> ShownOption::choices() const {
  std::vector<std::string> words;
  for (std::string rest = type; !rest.empty();) {
    const std::size_t end = rest.find('|');
    const std::string word = rest.substr(0, end);
    const bool is_word = !word.empty() && std::all_of(word.begin(), word.end(),
                                                      [](char c) { return c >= 'a' && c <= 'z'; });
    if (is_word) words.push_back(word);
    rest = end == std::string::npos ? "" : rest.substr(end + 1);
  }
  return words;
}

ShownCommand command_tree(const CLI::App& app) { return as_shown(app, ""); }

std::vector<const ShownCommand*> leaves_of(const ShownCommand& program) {
  std::vector<const ShownCommand*> leaves;
  add_leaves(program, leaves);
  return leaves;
}

}  // namespace sluice::app
