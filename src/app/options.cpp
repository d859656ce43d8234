#include "app/options.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <string_view>

#include "app/comparison_config.h"
#include "base/text_format.h"
#include "config/aliases.h"
#include "config/suggest.h"

namespace sluice::app {
namespace {

[[noreturn]] void refuse(const std::string& subject, const std::string& problem) {
  throw CLI::ValidationError(printable(subject), problem);
}

bool takes_value(const CLI::Option& option) { return option.get_items_expected_max() > 0; }
bool is_list(const CLI::Option& option) { return option.get_items_expected_max() > 1; }

bool looks_like_option(std::string_view word) {
  const bool is_number = word.size() > 1 && (word[1] == '.' || (word[1] >= '0' && word[1] <= '9'));
  return word.size() > 1 && word[0] == '-' && !is_number;
}

std::string name_in(const std::string& word) { return word.substr(0, word.find('=')); }

bool takes_settings(const CLI::App& command) { return command.get_option_no_throw("--set") != nullptr; }

// `--set` with the keys that this option is called after; VALUE where none came.
std::vector<std::string> as_settings(const std::string& word) {
  static const config::KeyPaths paths(config::describe<ComparisonConfig>());
  const std::string name = name_in(word).substr(std::min<std::size_t>(word.find_first_not_of('-'), word.size()));
  const std::string value = word.find('=') == std::string::npos ? "=VALUE" : word.substr(word.find('='));
  std::vector<std::string> settings;
  std::vector<std::string> keys = paths.has(name) ? std::vector{name} : paths.meant("", name);
  for (const std::string& key : keys) {
    if (key.find('.') != std::string::npos) settings.push_back(cat("--set ", key, printable(value)));
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

// In this order: another spelling, what other programs call so, a key of the configuration, a
// mistyped name.
std::vector<std::string> meant_options(const CLI::App& command, const std::string& word) {
  const std::string name = name_in(word);
  const std::vector<std::string> names = option_names(command);
  for (const std::string& one : names) {
    if (config::folded(one) == config::folded(name)) return {one};
  }
  std::vector<std::string> meant;
  for (const std::string_view ours : config::ours_for(config::AliasOf::kOption, name)) {
    if (command.get_option_no_throw(std::string(ours)) == nullptr) continue;
    const std::string_view place = ours == "CONFIG" ? "FILE" : ours == "RUN" ? "RUN" : "";
    meant.push_back(place.empty() ? std::string(ours) : cat("sluice ", command.get_name(), ' ', place));
  }
  if (meant.empty() && takes_settings(command)) meant = as_settings(word);
  if (!meant.empty()) return meant;
  const std::string_view near = config::nearest(name, std::vector<std::string_view>(names.begin(), names.end()));
  return near.empty() ? meant : std::vector{std::string(near)};
}

[[noreturn]] void refuse_option(const CLI::App& command, const std::string& word) {
  const std::string meant = config::alternatives(meant_options(command, word));
  refuse(name_in(word),
         cat("received an unknown option; expected one of this command", meant.empty() ? "" : cat(" (did you mean `", meant, "`?)")));
}

// Goes through the words once.
class Words {
 public:
  Words(const CLI::App& app, std::vector<std::string> given) : command_(&app), given_(std::move(given)) {}

  std::vector<std::string> check() {
    for (; at_ < given_.size(); ++at_) {
      const std::string& word = given_[at_];
      if (word == "--") {
        checked_.insert(checked_.end(), given_.begin() + static_cast<std::ptrdiff_t>(at_), given_.end());
        break;
      }
      looks_like_option(word) ? take_option(word) : take_word(word);
    }
    return std::move(checked_);
  }

 private:
  void take_word(const std::string& word) {
    for (const CLI::App* below : command_->get_subcommands([&](const CLI::App* one) { return one->get_name() == word; })) command_ = below;
    std::error_code ignored;
    const bool is_setting = word.find('=') != std::string::npos && word.find('/') == std::string::npos;
    if (!in_list_ && is_setting && takes_settings(*command_) && !std::filesystem::exists(word, ignored))
      refuse(word, cat("received a setting without --set; expected `--set ", printable(word), '`'));
    checked_.push_back(word);
  }

  void take_option(const std::string& word) {
    const std::string name = name_in(word);
    const CLI::Option* option = command_->get_option_no_throw(name);
    if (option == nullptr) refuse_option(*command_, word);
    const bool has_equals = name.size() < word.size();
    in_list_ = is_list(*option) && option->get_allow_extra_args();
    if (!takes_value(*option)) {
      if (has_equals) refuse(name, cat("received `", printable(word.substr(name.size() + 1)), "`; expected no value"));
      checked_.push_back(word);
      return;
    }
    if (!is_list(*option) && !seen_.insert(name).second) refuse(name, "received the option again; expected it once");
    if (has_equals && name.size() + 1 < word.size()) {
      checked_.push_back(word);
    } else {
      checked_.push_back(name);
      checked_.push_back(has_equals ? "" : next_word(*option, name));
    }
  }

  std::string next_word(const CLI::Option& option, const std::string& name) {
    const std::string wanted = option.get_type_name().empty() ? "a value" : option.get_type_name();
    if (at_ + 1 == given_.size()) refuse(name, cat("received nothing; expected ", wanted));
    const std::string& next = given_[++at_];
    if (looks_like_option(next) && command_->get_option_no_throw(name_in(next)) != nullptr)
      refuse(name, cat("received nothing before ", name_in(next), "; expected ", wanted, ", or `", name, '=', printable(next),
                       "` where that is the value"));
    return next;
  }

  const CLI::App* command_;
  std::vector<std::string> given_, checked_;
  std::size_t at_ = 0;
  bool in_list_ = false;  // behind an option that takes any number of words
  std::set<std::string> seen_;
};

}  // namespace

CLI::Validator not_empty(const std::string& expected) {
  return {[=](const std::string& word) { return word.empty() ? cat("received empty text; expected ", expected) : ""; }, ""};
}

std::vector<std::string> checked_words(const CLI::App& app, int argc, const char* const* argv) {
  std::vector<std::string> words = Words(app, {argv + std::min(argc, 1), argv + argc}).check();
  std::reverse(words.begin(), words.end());
  return words;
}

}  // namespace sluice::app
