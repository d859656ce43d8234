// Completion for bash 4 and later, without the package bash-completion.
#include "app/completion.h"
#include "base/text_format.h"

namespace sluice::app {
namespace {

// Bash splits KEY=VALUE at `=`, so the word before the cursor may be the key or the value.
constexpr std::string_view kBashFunction = R"sh(
_sluice() {
  local cur=${COMP_WORDS[COMP_CWORD]} key= prefix= command= option= word i
  local -i last=COMP_CWORD-1
  if [[ $cur == = ]]; then
    key=${COMP_WORDS[last]} cur= last=last-1
  elif [[ ${COMP_WORDS[last]} == = ]]; then
    key=${COMP_WORDS[last-1]} last=last-2
  elif [[ $cur == ?*=* ]]; then
    key=${cur%%=*} prefix=$key= cur=${cur#*=}
  fi
  for ((i = 1; i <= last; ++i)); do
    word=${COMP_WORDS[i]}
    case $word in
      --*) option=$word ;;
      =) ;;
      *)
        case " $(_sluice_commands "$command") " in
          *" $word "*) [[ -z $option ]] && command=${command:+$command }$word ;;
        esac
        if [[ -n $option && $option != --set ]]; then
          case $(_sluice_value "$command" "$option") in
            *...) ;;
            *) option= ;;
          esac
        fi ;;
    esac
  done
  if [[ $key == --* ]]; then option=$key key=; fi
  local kind=$(_sluice_value "$command" "${option:-ARGUMENT}")
  if [[ $cur == -* && -z $key ]]; then
    COMPREPLY=($(compgen -W "$(_sluice_options "$command")" -- "$cur"))
    return
  fi
  case $kind in
    keys*)
      if [[ -n $key ]]; then
        COMPREPLY=($(compgen -P "$prefix" -W "$(_sluice_key_values "$key")" -- "$cur"))
      else
        COMPREPLY=($(compgen -S = -W "$_sluice_keys" -- "$cur"))
        compopt -o nospace
        [[ -n $cur ]] || COMPREPLY+=($(compgen -f))
      fi ;;
    dir*) compopt -o filenames; COMPREPLY=($(compgen -d -- "$cur")) ;;
    file*) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")) ;;
    words\ *) COMPREPLY=($(compgen -W "${kind#words }" -- "$cur")) ;;
    *)
      COMPREPLY=($(compgen -W "$(_sluice_commands "$command")" -- "$cur"))
      [[ -n ${COMPREPLY[*]} || -n $option ]] ||
        COMPREPLY=($(compgen -W "$(_sluice_options "$command")" -- "$cur")) ;;
  esac
}
complete -F _sluice sluice
)sh";

// What _sluice_value prints: "keys", "dir", "file", "words A B", with "..." for a list; empty:
// nothing to complete.
std::string value_kind(const ShownOption& option) {
  std::string kind;
  if (option.type == "KEY=VALUE")
    kind = "keys";
  else if (option.takes_directory())
    kind = "dir";
  else if (option.takes_path())
    kind = "file";
  else if (const auto choices = option.choices(); !choices.empty()) {
    kind = "words";
    for (const std::string& choice : choices) kind += " " + choice;
  }
  return kind.empty() || !option.is_list ? kind : kind + "...";
}

std::string joined_paths(const std::vector<ShownCommand>& commands) {
  std::string text;
  for (const ShownCommand& one : commands)
    text += cat(text.empty() ? "" : " ", one.path.substr(one.path.rfind(' ') + 1));
  return text;
}

// The bodies of the three tables, for a command and those below it.
struct Tables {
  std::string commands, options, values;

  void add(const ShownCommand& command) {
    const std::string path = quoted_word(command.path);
    if (!command.commands.empty())
      commands +=
          cat("    ", path, ") echo ", quoted_word(joined_paths(command.commands)), " ;;\n");
    std::string names = "--help";
    for (const ShownOption& option : command.options) {
      if (!option.is_argument) names += " " + option.name;
      const std::string kind = value_kind(option);
      if (kind.empty()) continue;
      const std::string_view name = option.is_argument ? "ARGUMENT" : std::string_view(option.name);
      values += cat("    ", quoted_word(cat(command.path, " ", name)), ") echo ", quoted_word(kind),
                    " ;;\n");
    }
    options += cat("    ", path, ") echo ", quoted_word(names), " ;;\n");
    for (const ShownCommand& below : command.commands) add(below);
  }
};

std::string bash_function(std::string_view name, std::string_view argument,
                          std::string_view cases) {
  return cat(name, "() {\n  case ", argument, " in\n", cases, "  esac\n}\n");
}

}  // namespace

std::string bash_completion(const ShownCommand& program, SettingPaths settings) {
  Tables tables;
  tables.add(program);
  std::string keys, key_values;
  for (const config::SettingPath& setting : settings) {
    keys += cat(keys.empty() ? "" : " ", setting.path);
    if (setting.values.empty()) continue;
    std::string values;
    for (const std::string& value : setting.values) values += cat(values.empty() ? "" : " ", value);
    key_values += cat("    ", setting.path, ") echo ", quoted_word(values), " ;;\n");
  }
  return cat(
      "# Completion of sluice for bash. Add to ~/.bashrc:\n#   eval \"$(sluice completion "
      "bash)\"\n",
      "_sluice_keys=", quoted_word(keys), "\n",
      bash_function("_sluice_key_values", "$1", key_values),
      bash_function("_sluice_commands", "$1", tables.commands),
      bash_function("_sluice_options", "$1", tables.options),
      bash_function("_sluice_value", "\"$1 $2\"", tables.values), kBashFunction.substr(1));
}

}  // namespace sluice::app
