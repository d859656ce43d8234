// Completion for fish 3 and later.
#include "app/completion.h"
#include "base/text_format.h"

namespace sluice::app {
namespace {

// After --set: true until the next option.
constexpr std::string_view kFishFunctions = R"sh(
function __sluice_sets
  set -l last (string match -r -- '^--.*' (commandline -opc))[-1]
  test "$last" = --set
end
function __sluice_is
  set -l words (string match -rv -- '^-' (commandline -opc))
  test (count $words) -gt (count $argv); or return 1
  for i in (seq (count $argv))
    test $words[(math $i + 1)] = $argv[$i]; or return 1
  end
end
function __sluice_needs
  set -l words (string match -rv -- '^-' (commandline -opc))
  test (count $words) -eq (math (count $argv) + 1); and __sluice_is $argv
end
)sh";

// fish escapes only \ and ' in single quotes.
std::string fish_word(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

std::string fish_line(const std::string& condition, const ShownOption& option) {
  std::string out = cat("complete -c sluice -n ", fish_word(condition));
  if (!option.is_argument)
    out +=
        cat(" -l ", option.name.substr(2), " -d ", fish_word(first_sentence(option.description)));
  if (option.takes_directory()) return cat(out, " -x -a '(__fish_complete_directories)'\n");
  if (option.takes_path()) return cat(out, option.is_argument ? " -F\n" : " -r -F\n");
  std::string words;
  for (const std::string& choice : option.choices()) words += cat(words.empty() ? "" : " ", choice);
  if (!words.empty()) return cat(out, " -x -a ", fish_word(words), "\n");
  if (option.is_argument) return "";
  return cat(out, option.type == "KEY=VALUE" ? " -f\n" : option.takes_value() ? " -x\n" : "\n");
}

void add_fish_lines(const ShownCommand& command, std::string& out) {
  const std::string is = command.path.empty() ? "" : cat("__sluice_is ", command.path),
                    needs = cat("__sluice_needs ", command.path);
  for (const ShownCommand& below : command.commands) {
    out += cat("complete -c sluice -f -n ", fish_word(needs), " -a ",
               below.path.substr(below.path.rfind(' ') + 1), " -d ",
               fish_word(first_sentence(below.description)), "\n");
    add_fish_lines(below, out);
  }
  for (const ShownOption& option : command.options)
    out += fish_line(is.empty() ? needs : is, option);
}

}  // namespace

std::string fish_completion(const ShownCommand& program, SettingPaths settings) {
  std::string keys;
  for (const config::SettingPath& setting : settings) {
    keys += cat(" ", setting.path, "=");
    for (const std::string& value : setting.values) keys += cat(" ", setting.path, "=", value);
  }
  std::string out =
      cat("# Completion of sluice for fish. Save as ~/.config/fish/completions/sluice.fish:\n#   "
          "sluice completion fish > ~/.config/fish/completions/sluice.fish\n",
          kFishFunctions.substr(1),
          "complete -c sluice -f\ncomplete -c sluice -l help -d 'Print the "
          "help'\n",
          "complete -c sluice -n __sluice_sets -a ", fish_word(keys.substr(1)), "\n");
  add_fish_lines(program, out);
  return out;
}

}  // namespace sluice::app
