#include "app/options.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <string_view>

#include "app/comparison_config.h"
#include "app/path_option.h"
#include "base/error.h"
#include "base/text_format.h"
#include "config/aliases.h"
#include "config/suggest.h"

namespace sluice::app {
namespace {

[[noreturn]] void reject(const std::string& subject, const std::string& problem) {
  throw CLI::ValidationError(printable(subject), problem);
}

bool takes_value(const CLI::Option& option) { return option.get_items_expected_max() > 0; }
bool is_list(const CLI::Option& option) { return option.get_items_expected_max() > 1; }

bool looks_like_option(std::string_view word) {
  const bool is_number = word.size() > 1 && (word[1] == '.' || (word[1] >= '0' && word[1] <= '9'));
  return word.size() > 1 && word[0] == '-' && !is_number;
}

std::string option_name(const std::string& word) { return word.substr(0, word.find('=')); }

bool takes_settings(const CLI::App& command) {
  return command.get_option_no_throw("--set") != nullptr;
}

// The --set options that an option named like a key could mean: `--set train.steps=5` for
// --steps=5, with VALUE for a missing value.
std::vector<std::string> as_settings(const std::string& word) {
  static const config::KeyPaths paths(config::describe<ComparisonConfig>());
  const std::string name =
      option_name(word).substr(std::min<std::size_t>(word.find_first_not_of('-'), word.size()));
  const std::string value =
      word.find('=') == std::string::npos ? "=VALUE" : word.substr(word.find('='));
  std::vector<std::string> settings;
  std::vector<std::string> keys = paths.has(name) ? std::vector{name} : paths.candidates("", name);
  for (const std::string& key : keys) {
    if (key.find('.') != std::string::npos)
      settings.push_back(cat("--set ", key, printable(value)));
  }
  return settings;
}

std::vector<std::string> option_names(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    if (!option->get_lnames().empty()) names.push_back("--" + option->get_lnames().front());
  }
  return names;
}

// Tried in this order: another spelling, a name used by other programs, a key of the configuration,
// a mistyped name.
std::vector<std::string> suggested_options(const CLI::App& command, const std::string& word) {
  const std::string name = option_name(word);
  const std::vector<std::string> names = option_names(command);
  for (const std::string& one : names) {
    if (config::folded(one) == config::folded(name)) return {one};
  }
  std::vector<std::string> suggestions;
  for (const std::string_view known : config::names_for(config::AliasKind::kOption, name)) {
    if (command.get_option_no_throw(std::string(known)) == nullptr) continue;
    const std::string_view argument = known == "CONFIG" ? "FILE" : known == "RUN" ? "RUN" : "";
    suggestions.push_back(argument.empty() ? std::string(known)
                                           : cat("sluice ", command.get_name(), ' ', argument));
  }
  if (suggestions.empty() && takes_settings(command)) suggestions = as_settings(word);
  if (!suggestions.empty()) return suggestions;
  const std::string_view nearest =
      config::nearest(name, std::vector<std::string_view>(names.begin(), names.end()));
  return nearest.empty() ? suggestions : std::vector{std::string(nearest)};
}

[[noreturn]] void reject_unknown_option(const CLI::App& command, const std::string& word) {
  const std::string suggestions = config::alternatives(suggested_options(command, word));
  reject(option_name(word),
         cat("unknown option",
             suggestions.empty() ? "" : cat(" (did you mean `", suggestions, "`?)")));
}

// Checks the arguments in one pass.
class ArgumentChecker {
 public:
  ArgumentChecker(const CLI::App& app, std::vector<std::string> arguments)
      : command_(&app), arguments_(std::move(arguments)) {}

  std::vector<std::string> check() {
    for (; at_ < arguments_.size(); ++at_) {
      const std::string& word = arguments_[at_];
      if (word == "--") {
        checked_.insert(checked_.end(), arguments_.begin() + static_cast<std::ptrdiff_t>(at_),
                        arguments_.end());
        break;
      }
      looks_like_option(word) ? take_option(word) : take_word(word);
    }
    return std::move(checked_);
  }

 private:
  void take_word(const std::string& word) {
    for (const CLI::App* subcommand :
         command_->get_subcommands([&](const CLI::App* one) { return one->get_name() == word; }))
      command_ = subcommand;
    std::error_code ignored;
    const bool is_setting =
        word.find('=') != std::string::npos && word.find('/') == std::string::npos;
    if (!in_list_ && is_setting && takes_settings(*command_) &&
        !std::filesystem::exists(word, ignored))
      reject(word, cat("received a setting without --set; expected `--set ", printable(word), '`'));
    checked_.push_back(word);
  }

  void take_option(const std::string& word) {
    const std::string name = option_name(word);
    const CLI::Option* option = command_->get_option_no_throw(name);
    if (option == nullptr) reject_unknown_option(*command_, word);
    const bool has_equals = name.size() < word.size();
    in_list_ = is_list(*option) && option->get_allow_extra_args();
    if (!takes_value(*option)) {
      if (has_equals)
        reject(name,
               cat("received `", printable(word.substr(name.size() + 1)), "`; expected no value"));
      checked_.push_back(word);
      return;
    }
    if (!is_list(*option) && !seen_.insert(name).second) reject(name, "given more than once");
    if (has_equals && name.size() + 1 < word.size()) {
      checked_.push_back(word);
    } else {
      checked_.push_back(name);
      checked_.push_back(has_equals ? "" : next_word(*option, name));
    }
  }

  std::string next_word(const CLI::Option& option, const std::string& name) {
    const std::string type = option.get_type_name().empty() ? "a value" : option.get_type_name();
    if (at_ + 1 == arguments_.size()) reject(name, cat("missing value; expected ", type));
    const std::string& next = arguments_[++at_];
    if (looks_like_option(next) && command_->get_option_no_throw(option_name(next)) != nullptr)
      reject(name, cat("missing value before ", option_name(next), "; expected ", type, ", or `",
                       name, '=', printable(next), "` to pass `", printable(next), "` as value"));
    return next;
  }

  const CLI::App* command_;
  std::vector<std::string> arguments_, checked_;
  std::size_t at_ = 0;
  bool in_list_ = false;  // after an option that takes any number of values
  std::set<std::string> seen_;
};

}  // namespace

void add_run(CLI::App& command, std::string& run) {
  command.add_option("RUN", run, "Run directory (its newest checkpoint) or a checkpoint directory")
      ->required()
      ->transform(home_path())
      ->check(not_empty("a directory"));
}

void add_allow_older(CLI::App& command, bool& allow_older) {
  command.add_flag("--allow-older-checkpoint", allow_older,
                   "If the newest checkpoint is damaged or missing, use the newest valid one "
                   "instead of failing with exit code 78");
}

CLI::Validator not_empty(const std::string& expected) {
  return {[=](const std::string& word) {
            return word.empty() ? cat("received empty text; expected ", expected) : "";
          },
          ""};
}

std::vector<std::string> checked_arguments(const CLI::App& app, int argc, const char* const* argv) {
  std::vector<std::string> checked =
      ArgumentChecker(app, {argv + std::min(argc, 1), argv + argc}).check();
  std::reverse(checked.begin(), checked.end());
  return checked;
}

void add_config(CLI::App& command, ConfigOptions& options, const char* what) {
  command.add_option("CONFIG", options.config, what)
      ->transform(home_path())
      ->check(not_empty("a file name"));
  command
      .add_option_function<std::vector<std::string>>(
          "--set",
          [&options](const std::vector<std::string>& words) {
            for (const std::string& word : words) {
              if (word.find('=') == std::string::npos && options.config.empty()) {
                options.config = word;
              } else {
                options.overrides.push_back(word);
              }
            }
          },
          "Override fields: optimizer.lr=1e-3 model.ffn=geglu")
      ->type_name("KEY=VALUE")
      ->check(not_empty("KEY=VALUE"))
      ->take_all();
}

void require_config(const ConfigOptions& options) {
  require(!options.config.empty(), ExitCode::kUsage, "CONFIG",
          "missing argument; expected a configuration file, e.g. configs/quickstart.yaml");
}

}  // namespace sluice::app
