#include <iostream>

#include "app/commands.h"
#include "app/export_tensorboard.h"
#include "app/outputs.h"
#include "app/run_argument.h"
#include "base/error.h"
#include "base/log.h"
#include "base/stop_notice.h"
#include "base/text_format.h"
#include "interop/export_gguf.h"
#include "interop/export_huggingface.h"

namespace sluice::app {
namespace {

interop::Exported write(const ExportOptions& options) {
  const interop::ExportRequest request{
      .run = options.run, .step = options.step, .out = options.out};
  if (options.to == "hf") return interop::export_huggingface(request);
  if (options.to == "gguf") return interop::export_gguf(request);
  fail(ExitCode::kUsage, "--to", printable(options.to), "hf, gguf or tensorboard");
}

}  // namespace

void export_command(const ExportOptions& options) {
  if (options.to == "tensorboard") {
    require(!options.step, ExitCode::kUsage, "--checkpoint",
            "cannot be combined with --to tensorboard");
    require(!options.json, ExitCode::kUsage, "--json", "cannot be combined with --to tensorboard");
    return export_tensorboard(options.run, options.out);
  }
  const RunArgument kind = check_run_argument(options.run);
  require(!options.step || kind == RunArgument::kRun, ExitCode::kUsage, "--checkpoint",
          "cannot be combined with a checkpoint directory");
  const StopNotice notice("stopping");
  const interop::Exported exported = write(options);
  if (options.json) {
    std::cout << config::to_json(ExportOutput{.path = options.out,
                                              .to = options.to,
                                              .class_name = exported.class_name,
                                              .step = exported.step,
                                              .num_parameters = exported.num_parameters});
    return;
  }
  log::info(cat("step ", with_commas(exported.step), " of ", options.run, " as ",
                exported.class_name, ": ", options.out));
}

}  // namespace sluice::app
