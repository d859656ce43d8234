// Command-line options: values follow the rules and messages of the configuration, and the
// arguments are checked before CLI11 parses them.
#pragma once

#include <CLI/CLI.hpp>

#include <string>
#include <utility>
#include <vector>

#include "app/commands.h"
#include "config/read.h"

namespace sluice::app {

// Parses `word` by the rules of the configuration; an invalid value is a CLI::ValidationError with
// the message of the configuration.
template <class T>
void read_option(const std::string& name, const std::string& word, const config::Limits& limits,
                 T& value) {
  const std::string problem = config::read_word(word, limits, value);
  if (!problem.empty()) throw CLI::ValidationError(name, problem);
}

// Adds an option with one value of type T: a number, or a number or `auto` (config::Auto).
template <class T>
CLI::Option* add_value(CLI::App& command, const std::string& name, T& value,
                       const config::Limits& limits, const std::string& description) {
  return command
      .add_option_function<std::string>(
          name, [=, &value](const std::string& word) { read_option(name, word, limits, value); },
          description)
      ->type_name("N");
}

inline constexpr config::Limits kPositive{.low = 0, .low_open = true};
inline constexpr config::Limits kNotNegative{.low = 0};

// Adds CONFIG and --set. `--set` takes all arguments up to the next option; the first one without
// "=" is CONFIG, as in `sluice train --set a.b=c my.yaml`.
void add_config(CLI::App& command, ConfigOptions& options,
                const char* what = "Configuration file (YAML)");

// Throws kUsage if CONFIG is missing.
void require_config(const ConfigOptions& options);

// Adds RUN: a run or one of its checkpoints.
void add_run(CLI::App& command, std::string& run);
void add_allow_older(CLI::App& command, bool& allow_older);

// Rejects empty text. `expected`: the expected value, for the message.
CLI::Validator not_empty(const std::string& expected);

// The arguments without the program name in the order that CLI11 expects, last one first.
// `--option=` becomes the option and an empty value; CLI11 would take the next argument instead.
// Throws CLI::ValidationError for an unknown option (with a suggestion), a missing value, a
// repeated single-value option, a flag with a value, and KEY=VALUE without --set.
std::vector<std::string> checked_arguments(const CLI::App& app, int argc, const char* const* argv);

}  // namespace sluice::app
