// The settings of earlier starts of a run, so that later commands need not repeat them.
//
// A --set applies to every later start until a --set of the same key or an edit of that key in the
// configuration file overrides it. The latest setting wins. Stored in RUN/run.json as "settings".
#pragma once

#include <string>
#include <tuple>
#include <vector>

#include "config/file_values.h"
#include "store/run_directory.h"

namespace sluice::run {

struct StartSettings {
  std::vector<std::string> overrides{};
  config::FileValues file_values{};

  static constexpr auto fields() {
    return std::tuple{config::field<&StartSettings::overrides>(
                          "The active --set options: \"a.b=c\".", config::Key{"set"}),
                      config::field<&StartSettings::file_values>(
                          "Values of the last configuration file that was named, by dotted path.",
                          config::Key{"file"})};
  }
};

// The settings of the run's last start; empty if there was none or an earlier version wrote
// run.json. Warns if run.json is damaged.
StartSettings read_start_settings(const store::RunPaths& paths);

// The settings of a start in an existing run, and notes on overrides from earlier starts.
struct Continuation {
  StartSettings settings{};
  std::vector<std::string> notes{};
};

// A start with a configuration file, whose values are `file_values`, and the --set options `given`.
Continuation continue_with(const StartSettings& earlier, config::FileValues file_values,
                           const std::vector<std::string>& given);
// `overrides` for a file that specifies the run's length: an override of train.steps, tokens or
// epochs replaces the other two.
std::vector<std::string> with_one_length(const std::vector<std::string>& overrides);
// A start from the run's own config.yaml, which already includes the earlier settings.
Continuation continue_own(const StartSettings& earlier, const std::vector<std::string>& given);

}  // namespace sluice::run
