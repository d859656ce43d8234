#include <filesystem>
#include <iostream>

#include "app/commands.h"
#include "app/outputs.h"
#include "base/log.h"
#include "base/shell.h"
#include "base/stop_notice.h"
#include "base/text_format.h"
#include "interop/import_huggingface.h"

namespace sluice::app {

void import_command(const ImportOptions& options) {
  interop::ImportRequest request{
      .files = interop::find_model_files({options.paths.begin(), options.paths.end()}),
      .out = options.out,
      .command_line = options.command_line};
  if (!options.config.empty()) request.config = load_config({options.config, options.overrides});
  const StopNotice notice("stopping");
  const interop::Imported imported = interop::import_huggingface(request);
  if (options.json) {
    std::cout << config::to_json(ImportOutput{.run_directory = options.out,
                                              .class_name = imported.class_name,
                                              .num_parameters = imported.num_parameters,
                                              .can_train = request.config.has_value()});
    return;
  }
  log::info(cat(imported.class_name, ", ", with_commas(imported.num_parameters),
                " parameters: ", options.out));
  if (request.config)
    log::info(cat("train it with  ", options.program, " train --resume ", shell_path(options.out)));
}

}  // namespace sluice::app
