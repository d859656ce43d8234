#include "app/train_start.h"

#include <filesystem>
#include <utility>

#include "app/comparison_config.h"
#include "base/error.h"
#include "base/home.h"
#include "base/shell.h"
#include "base/text_format.h"
#include "config/file_values.h"
#include "run/start_settings.h"

namespace sluice::app {
namespace {

namespace fs = std::filesystem;

bool is_config_name(const fs::path& path) {
  return path.extension() == ".yaml" || path.extension() == ".yml";
}

// A directory, or with `resume` a missing path without a YAML extension.
bool is_run_argument(const std::string& argument, bool resume) {
  std::error_code ignored;
  if (fs::is_directory(argument, ignored)) return true;
  return resume && !fs::exists(argument, ignored) && !is_config_name(argument);
}

void require_run(const TrainOptions& options) {
  const std::string& run = options.config.config;
  const bool resume = options.mode == store::StartMode::kResume;
  std::error_code ignored;
  if (!fs::is_directory(run, ignored))
    fail(ExitCode::kMissingInput, printable(run, 300),
         "not found; expected a run directory to continue, or a configuration file (YAML)");
  const store::RunPaths paths{run};
  if (!store::is_run_directory(run))
    fail(ExitCode::kMissingInput, printable(run, 300), "a directory without a run",
         "a configuration file (YAML), or with --resume a run directory");
  if (!resume)
    fail(ExitCode::kUsage, printable(run, 300), "a run directory without --resume",
         cat("a configuration file; to continue this run, use `", options.program,
             " train --resume ", shell_path(run), "`"));
  if (!fs::exists(paths.config(), ignored))
    fail(ExitCode::kMissingInput, printable(run, 300),
         "missing config.yaml; pass the original configuration file as CONFIG");
  for (const std::string& text : options.config.overrides)
    if (config::override_path(text) == "run.dir")
      fail(ExitCode::kUsage, "--set", printable(text, 300),
           cat("no run.dir for the run directory ", printable(run, 300)));
  if (!options.run_dir.empty())
    fail(ExitCode::kUsage, "--run-dir", printable(options.run_dir, 300),
         cat("no --run-dir for the run directory ", printable(run, 300)));
}

std::string value_or(const config::FileValues& values, const std::string& path,
                     std::string fallback) {
  const auto found = values.find(path);
  return found == values.end() ? fallback : found->second;
}

bool is_same_file(const fs::path& a, const fs::path& b) {
  std::error_code error;
  return fs::equivalent(a, b, error) && !error;
}

// Uses the settings of the run, overridden by the --set of this command.
void continue_run(const TrainOptions& options, const store::RunPaths& paths,
                  run::SessionOptions& session) {
  run::Continuation next =
      run::continue_own(run::read_start_settings(paths), options.config.overrides);
  session.config = load_config({.config = paths.config().string(),
                                .overrides = run::with_one_length(options.config.overrides)});
  session.settings = std::move(next.settings);
}

// Uses a configuration file and, when resuming, the settings kept from earlier starts.
void start_from_file(const TrainOptions& options, run::SessionOptions& session) {
  const std::vector<std::string>& given = options.config.overrides;
  std::error_code ignored;
  const fs::path file = options.config.config;
  // A pipe can be read only once.
  if (fs::exists(file, ignored) && !fs::is_regular_file(file, ignored)) {
    require(options.mode != store::StartMode::kResume, ExitCode::kUsage,
            printable(file.string(), 300), "a pipe with --resume",
            "a regular file or the run directory");
    session.config = load_config(options.config);
    session.settings.overrides = given;
    if (!options.run_dir.empty()) session.config.run.dir = options.run_dir;
    return;
  }
  const config::Input input{.file = options.config.config, .overrides = given};
  const std::string written_dir =
      value_or(config::file_values<ComparisonConfig>(input), "run.dir", train::RunSection{}.dir);
  if (options.run_dir.empty() && (written_dir.empty() || written_dir == "null"))
    load_config(options.config);  // throws with the details
  const store::RunPaths paths{options.run_dir.empty() ? expand_home("run.dir", written_dir)
                                                      : options.run_dir};
  const bool resume =
      options.mode == store::StartMode::kResume && store::is_run_directory(paths.root);
  if (resume && is_same_file(paths.config(), input.file)) {
    continue_run(options, paths, session);
  } else {
    const run::StartSettings earlier =
        resume ? run::read_start_settings(paths) : run::StartSettings{};
    run::Continuation next = run::continue_with(
        earlier, config::file_values<ComparisonConfig>({.file = input.file, .overrides = {}}),
        given);
    session.config =
        load_config({.config = options.config.config, .overrides = next.settings.overrides});
    session.settings = std::move(next.settings);
    session.notes = std::move(next.notes);
  }
  session.config.run.dir = paths.root.string();
}

}  // namespace

run::SessionOptions read_start(const TrainOptions& options) {
  run::SessionOptions session{.config = {},
                              .mode = options.mode,
                              .command_line = options.command_line,
                              .program = options.program,
                              .dump_batches = options.dump_batches,
                              .dump_steps = options.dump_steps};
  if (is_run_argument(options.config.config, options.mode == store::StartMode::kResume)) {
    require_run(options);
    const store::RunPaths paths{options.config.config};
    continue_run(options, paths, session);
    session.config.run.dir = paths.root.string();
  } else {
    start_from_file(options, session);
  }
  return session;
}

}  // namespace sluice::app
