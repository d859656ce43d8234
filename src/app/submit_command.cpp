#include "app/submit_command.h"

#include <filesystem>
#include <iostream>

#include "app/comparison_runs.h"
#include "base/error.h"
#include "base/text_format.h"
#include "compare/grid.h"
#include "compare/slurm.h"
#include "store/run_directory.h"

namespace sluice::app {
namespace {

namespace fs = std::filesystem;

void check_runs(const ConfigOptions& options, const compare::CompareConfig& config,
                const std::vector<report::Settings>& grid) {
  const ComparisonRuns runs(options);
  for (const report::Settings& settings : grid) {
    runs.load({.settings = settings, .run_dir = {}, .name = {}});
    if (!config.tune) continue;
    for (const report::Settings& candidate : compare::expand(config.tune->grid)) {
      compare::RunRequest request{
          .settings = settings, .on_tuning_split = true, .run_dir = {}, .name = {}};
      request.settings.insert(request.settings.end(), candidate.begin(), candidate.end());
      request.num_tuned = candidate.size();
      runs.load(request);
    }
  }
}

compare::SlurmJob job_of(const CompareOptions& options, const ComparisonConfig& config) {
  const compare::CompareConfig& compared = *config.compare;
  const std::vector<report::Settings> grid = compare::expand(compared.vary);
  const fs::path directory = config.run.run.dir;
  if (store::is_run_directory(directory))
    fail(ExitCode::kUsage, directory.string(),
         "belongs to a single run; choose another run.dir for the comparison");
  check_runs(options.config, compared, grid);
  const std::size_t num_seeds = compare::select_seeds(compared.seeds, options.seeds).size();
  const std::size_t num_runs = compare::select_variants(grid, options.only).size() * num_seeds;
  const compare::SlurmConfig slurm = compared.slurm.value_or(compare::SlurmConfig{});
  const auto num_tasks =
      static_cast<std::size_t>(slurm.tasks.value_or(static_cast<std::int64_t>(num_seeds)));
  if (num_tasks > num_runs)
    fail(ExitCode::kUsage, "compare.slurm.tasks", cat(num_tasks),
         cat("at most ", num_runs, ", the number of runs"));
  return {.config = slurm,
          .name = config.run.run.name,
          .directory = fs::absolute(directory).lexically_normal(),
          .working_directory = fs::current_path(),
          .command = options.submit_command,
          .num_tasks = num_tasks};
}

}  // namespace

void submit_command(const CompareOptions& options, const ComparisonConfig& config) {
  const compare::SlurmJob job = job_of(options, config);
  if (options.dry_run) {
    std::cout << compare::slurm_script(job);
    return;
  }
  const std::string id = compare::submit(job, compare::find_sbatch());
  const auto shown = [](const fs::path& path) {
    return printable(path.string(), std::string::npos);
  };
  std::cout << "job     " << id << " ("
            << count_of(static_cast<std::int64_t>(job.num_tasks), "task") << ")\nscript  "
            << shown(job.script_file()) << "\noutput  "
            << shown(job.directory / "slurm" / cat(id, "_*.txt")) << "\nreport  "
            << shown(job.directory / "report.html") << " (when the tasks have ended)\n";
}

}  // namespace sluice::app
