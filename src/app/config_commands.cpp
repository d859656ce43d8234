#include <iostream>

#include "app/commands.h"
#include "app/comparison_config.h"
#include "app/comparison_runs.h"
#include "base/error.h"
#include "base/log.h"
#include "base/shell.h"
#include "base/text_format.h"
#include "compare/grid.h"
#include "config/config.h"

namespace sluice::app {

namespace {

ComparisonConfig load_any(const ConfigOptions& options) {
  return load_comparison({.file = options.config, .overrides = options.overrides});
}

}  // namespace

train::RunConfig load_config(const ConfigOptions& options) {
  ComparisonConfig config = load_any(options);
  if (config.compare)
    fail(ExitCode::kUsage, options.config, "a comparison (section `compare`)",
         cat("the configuration of a single run; to run the comparison, use `sluice compare ",
             shell_path(options.config), "`, or add --dry-run to preview it"));
  return std::move(config.run);
}

void config_show_command(const ConfigOptions& options) {
  const ComparisonConfig config = load_any(options);
  std::cout << (config.compare ? config::to_yaml(config) : config::to_yaml(config.run));
}

void config_check_command(const ConfigOptions& options) {
  const ComparisonConfig config = load_any(options);
  if (config.compare) {  // check every variant, too
    const ComparisonRuns runs(options);
    for (const report::Settings& settings : compare::expand(config.compare->vary))
      runs.load({.settings = settings});
  }
  log::info(cat(options.config, ": no problems"));
}

void config_schema_command() { std::cout << config::json_schema<ComparisonConfig>(); }

void config_docs_command() { std::cout << config::reference_page<ComparisonConfig>(); }

}  // namespace sluice::app
