#include "app/export_tensorboard.h"

#include <chrono>
#include <filesystem>
#include <iostream>
#include <limits>

#include "app/run_argument.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text_format.h"
#include "config/config.h"
#include "store/run_directory.h"
#include "train/tensorboard.h"

namespace sluice::app {
namespace {

double written_s(const fs::path& path) {
  const auto time = std::chrono::file_clock::to_sys(fs::last_write_time(path));
  return std::chrono::duration<double>(time.time_since_epoch()).count();
}

}  // namespace

void export_tensorboard(const std::string& run, const std::string& out) {
  require(check_run_argument(run) == RunArgument::kRun, ExitCode::kMissingInput, run,
          "a checkpoint", "a run directory, since checkpoints contain no metrics");
  const store::RunPaths paths{run};
  require(fs::exists(paths.metrics()), ExitCode::kMissingInput, paths.metrics().string(),
          "file not found");
  const fs::path events = fs::path(out) / store::kEventFile;
  require(!fs::exists(events), ExitCode::kUsage, events.string(), "file exists",
          "a directory without it, e.g. a new one");
  const auto config = config::load<train::RunConfig>({.file = paths.config(), .overrides = {}});
  real_files().create_directories(out);
  if (fs::exists(paths.events())) real_files().write_atomically(events, read_file(paths.events()));
  train::TensorBoardLog log({.events = events, .metrics = paths.metrics()},
                            train::shown_settings(config));
  log.return_to(std::numeric_limits<std::int64_t>::max(), written_s(paths.metrics()));
  log.flush();
  std::cout << "events  " << printable(events.string(), std::string::npos) << "\n";
}

}  // namespace sluice::app
