#include <iostream>

#include "app/commands.h"
#include "base/log.h"
#include "base/text_format.h"
#include "config/config.h"

namespace sluice::app {

train::RunConfig load_config(const ConfigOptions& options) {
  return config::load<train::RunConfig>({.file = options.config, .overrides = options.overrides});
}

void config_show_command(const ConfigOptions& options) { std::cout << config::to_yaml(load_config(options)); }

void config_check_command(const ConfigOptions& options) {
  load_config(options);
  log::info(cat(options.config, ": no problems"));
}

void config_schema_command() { std::cout << config::json_schema<train::RunConfig>(); }

void config_docs_command() { std::cout << config::reference_page<train::RunConfig>(); }

}  // namespace sluice::app
