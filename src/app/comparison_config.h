// The root of a configuration file: the keys of a run and the optional section `compare`.
#pragma once

#include <optional>

#include "compare/compare_config.h"
#include "config/config.h"
#include "train/run_config.h"

namespace sluice::app {

struct ComparisonConfig {
  train::RunConfig run;
  std::optional<compare::CompareConfig> compare;  // empty for a single run
  static constexpr auto fields() {
    using config::field;
    using C = ComparisonConfig;
    return std::tuple{
        config::rows_of<&C::run>(),
        field<&C::compare>(
            "Runs several variants with `sluice compare`. `sluice train` rejects this section.",
            config::Affects::kLabel)};
  }
  static void check(const ComparisonConfig& c, config::Problems& problems);
};

// Expands `~/` at the start of every path of a configuration (base/home.h).
void expand_home_of(train::RunConfig& config);

// config::load(), then expand_home_of(): all configuration files are read by this function.
ComparisonConfig load_comparison(const config::Input& input);

}  // namespace sluice::app

extern template const sluice::config::Section&
sluice::config::describe<sluice::app::ComparisonConfig>();
