// The root of a comparison's YAML: everything a run's has, and the section `compare`.
#pragma once

#include <optional>

#include "compare/compare_config.h"
#include "config/config.h"
#include "train/run_config.h"

namespace sluice::app {

struct ComparisonConfig {
  train::RunConfig run;
  std::optional<compare::CompareConfig> compare;  // nothing in the file of a single run
  static constexpr auto fields() {
    using config::field;
    using C = ComparisonConfig;
    return std::tuple{config::rows_of<&C::run>(),
                      field<&C::compare>("Several runs instead of one: what `sluice compare` varies. `sluice train` refuses it.",
                                         config::Affects::kLabel)};
  }
  static void check(const ComparisonConfig& c, config::Problems& problems);
};

// The home directory in place of `~/` at the start of every path of a configuration (base/home.h).
void expand_home_of(train::RunConfig& config);

// config::load, and that: the one way in which the program reads a user's file.
ComparisonConfig load_comparison(const config::Input& input);

}  // namespace sluice::app
