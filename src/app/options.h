// Options of the command line whose values follow the rules and the messages of a configuration,
// and the check of the words before CLI11 reads them.
#pragma once

#include <CLI/CLI.hpp>

#include <string>
#include <utility>
#include <vector>

#include "config/read.h"

namespace sluice::app {

// Reads `word` as a configuration would; CLI::ValidationError with the configuration's message
// where it is none.
template <class T>
void read_option(const std::string& name, const std::string& word, const config::Limits& limits, T& value) {
  const std::string problem = config::read_word(word, limits, value);
  if (!problem.empty()) throw CLI::ValidationError(name, problem);
}

// An option with one value of type T: a number, or a number or a word (config::Auto).
template <class T>
CLI::Option* add_value(CLI::App& command, const std::string& name, T& value, const config::Limits& limits, const std::string& description) {
  return command
      .add_option_function<std::string>(
          name, [=, &value](const std::string& word) { read_option(name, word, limits, value); }, description)
      ->type_name("N");
}

// A check of text options: empty text is refused, `expected` says what belongs there.
CLI::Validator not_empty(const std::string& expected);

// The words behind the program's name as CLI11 takes them, last one first. `--option=` becomes the
// option and an empty value, which CLI11 would fill with the next word. CLI::ValidationError for an
// unknown option (with what was probably meant), an option without its value, one given twice that
// takes one value, a flag with a value, and KEY=VALUE without --set.
std::vector<std::string> checked_words(const CLI::App& app, int argc, const char* const* argv);

}  // namespace sluice::app
