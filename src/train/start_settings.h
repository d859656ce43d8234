// What a run was told to do by the commands that started it, so that a later command need not say it again.
//
// A run keeps its --set: one that an earlier start was given holds for every later start, until a --set of the same key or an edit of
// that key in the configuration file says otherwise. The last word wins. RUN/run.json has it, under "settings".
#pragma once

#include <string>
#include <tuple>
#include <vector>

#include "config/file_values.h"
#include "store/run_directory.h"

namespace sluice::train {

struct StartSettings {
  std::vector<std::string> overrides{};
  config::FileValues file_values{};

  static constexpr auto fields() {
    return std::tuple{config::field<&StartSettings::overrides>("The --set that hold: \"a.b=c\".", config::Key{"set"}),
                      config::field<&StartSettings::file_values>("What the file of the last start that named one said, by dotted path.",
                                                                 config::Key{"file"})};
  }
};

// Of the run's last start; empty where there was none, or where an earlier version wrote run.json. Warns where run.json is damaged.
StartSettings read_start_settings(const store::RunPaths& paths);

// What a start in a run amounts to, and a line for each override of earlier that matters.
struct Continuation {
  StartSettings settings{};
  std::vector<std::string> notes{};
};

// A start with a configuration file that says `file_values`, and the --set `given`.
Continuation continue_with(const StartSettings& earlier, config::FileValues file_values, const std::vector<std::string>& given);
// `overrides` for a file that already says how long the run is: one of train.steps, tokens and epochs replaces the other two.
std::vector<std::string> with_one_length(const std::vector<std::string>& overrides);
// A start from the run's own config.yaml, which has the effect of the earlier ones already.
Continuation continue_own(const StartSettings& earlier, const std::vector<std::string>& given);

}  // namespace sluice::train
