// Completion for zsh, with its own functions for options.
#include "app/completion.h"
#include "base/text_format.h"

namespace sluice::app {
namespace {

constexpr std::string_view kZshSettings = R"sh(
_sluice_setting() {
  if compset -P 1 '*='; then
    local -a values
    values=(${(z)_sluice_values[${IPREFIX%%=}]})
    (( $#values )) && compadd -a values
  else
    compadd -S = -a _sluice_keys
    [[ -n $PREFIX ]] || _files
  fi
}
)sh";

// Within an _arguments specification, in single quotes.
std::string zsh_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == ':' || c == '[' || c == ']' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string zsh_action(const ShownOption& option) {
  if (option.type == "KEY=VALUE") return "_sluice_setting";
  if (option.takes_directory()) return "_files -/";
  if (option.takes_path()) return "_files";
  std::string words;
  for (const std::string& choice : option.choices()) words += cat(words.empty() ? "" : " ", choice);
  return words.empty() ? " " : cat("(", words, ")");
}

std::string zsh_specification(const ShownOption& option) {
  const std::string value =
      cat(":", zsh_text(option.type.empty() ? option.name : option.type), ":", zsh_action(option));
  if (option.is_argument) return quoted_word(cat(option.is_list ? "*" : ":", value));
  const std::string text = cat("[", zsh_text(first_sentence(option.description)), "]");
  if (!option.takes_value()) return quoted_word(option.name + text);
  // --set takes words up to the next option.
  if (option.type == "KEY=VALUE") return quoted_word(cat("*", option.name, text, ":*-*", value));
  return quoted_word(cat(option.is_list ? "*" : "", option.name, "=", text, value));
}

std::string zsh_name(const std::string& path) {
  std::string name = "_sluice";
  for (const char c : path.empty() ? path : " " + path) name += c == ' ' ? '_' : c;
  return name + (path.empty() ? "" : "_command");
}

std::string zsh_function(const ShownCommand& command) {
  std::string out = cat(zsh_name(command.path), "() {\n");
  if (command.commands.empty()) {
    out += "  _arguments \\\n    '--help[Print the help]'";
    for (const ShownOption& option : command.options)
      out += " \\\n    " + zsh_specification(option);
    return out + "\n}\n";
  }
  out += "  local context state line\n  local -a commands\n  commands=(\n";
  std::string cases;
  for (const ShownCommand& below : command.commands) {
    const std::string name = below.path.substr(below.path.rfind(' ') + 1);
    out +=
        cat("    ", quoted_word(cat(name, ":", zsh_text(first_sentence(below.description)))), "\n");
    cases += cat("        ", name, ") ", zsh_name(below.path), " ;;\n");
  }
  out += "  )\n  _arguments -C '--help[Print the help]'";
  for (const ShownOption& option : command.options) out += " " + zsh_specification(option);
  return cat(out,
             " '1: :->command' '*:: :->rest'\n  case $state in\n    command) _describe command "
             "commands ;;\n    rest)\n      case $words[1] in\n",
             cases, "      esac ;;\n  esac\n}\n");
}

void add_zsh_functions(const ShownCommand& command, std::string& out) {
  for (const ShownCommand& below : command.commands) add_zsh_functions(below, out);
  out += zsh_function(command);
}

}  // namespace

std::string zsh_completion(const ShownCommand& program, SettingPaths settings) {
  std::string keys, values;
  for (const config::SettingPath& setting : settings) {
    keys += cat("\n  ", setting.path);
    if (setting.values.empty()) continue;
    std::string words;
    for (const std::string& value : setting.values) words += cat(words.empty() ? "" : " ", value);
    values += cat("\n  ", setting.path, " ", quoted_word(words));
  }
  std::string out =
      cat("#compdef sluice\n# Completion of sluice for zsh. Add to ~/.zshrc, after compinit:\n#   "
          "eval \"$(sluice completion zsh)\"\ntypeset -ga _sluice_keys\n_sluice_keys=(",
          keys, "\n)\ntypeset -gA _sluice_values\n_sluice_values=(", values, "\n)\n",
          kZshSettings.substr(1));
  add_zsh_functions(program, out);
  return out + "compdef _sluice sluice\n";
}

}  // namespace sluice::app
