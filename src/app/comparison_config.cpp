#include "app/comparison_config.h"

#include "base/home.h"
#include "base/text_format.h"

namespace sluice::app {

namespace {

void check_keys(const compare::ValueLists& lists, const std::string& section,
                config::Problems& problems) {
  for (const auto& [key, values] : lists.items) {
    const auto affects = config::affects_of<train::RunConfig>(key);
    if (affects && !config::rule_of(*affects).may_vary)
      problems.add(cat(section, '.', key), cat('`', key, '`'),
                   "a hyperparameter (all variants share objective, seed, corpus, execution, "
                   "evaluation and output)");
  }
}

// A floating-point type may be compared, but is no setting to be chosen for each variant.
void check_tuned_keys(const compare::ValueLists& lists, config::Problems& problems) {
  check_keys(lists, "compare.tune", problems);
  for (const auto& [key, values] : lists.items)
    if (config::affects_of<train::RunConfig>(key) == config::Affects::kArithmetic)
      problems.add(cat("compare.tune.", key), cat('`', key, '`'), "this key only in compare.vary");
}

}  // namespace

void ComparisonConfig::check(const ComparisonConfig& c, config::Problems& problems) {
  if (!c.compare) return;
  check_keys(c.compare->vary, "compare.vary", problems);
  if (c.compare->tune) check_tuned_keys(c.compare->tune->grid, problems);
}

void expand_home_of(train::RunConfig& config) {
  config::for_each_path(
      config, [](const std::string& field, std::string& path) { path = expand_home(field, path); });
}

ComparisonConfig load_comparison(const config::Input& input) {
  auto config = config::load<ComparisonConfig>(input);
  expand_home_of(config.run);
  if (config.compare && config.compare->assumed_std)
    config.compare->assumed_std = expand_home("compare.assumed_std", *config.compare->assumed_std);
  return config;
}

}  // namespace sluice::app

template const sluice::config::Section& sluice::config::describe<sluice::app::ComparisonConfig>();
