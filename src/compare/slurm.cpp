#include "compare/slurm.h"

#include <poll.h>

#include <algorithm>
#include <cmath>
#include <sstream>
#include <string_view>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/scratch_directory.h"
#include "base/shell.h"
#include "base/signals.h"
#include "base/text_format.h"
#include "compare/child.h"

namespace sluice::compare {
namespace {

namespace fs = std::filesystem;

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

// Options that the script sets itself.
constexpr std::string_view kOwnOptions[] = {"--array", "-a",           "--output",   "-o",
                                            "--wrap",  "--parsable",   "--signal",   "--chdir",
                                            "-D",      "--no-requeue", "--test-only"};

bool is_own_option(std::string_view option) {
  const std::string_view name = option.substr(0, option.find_first_of("= "));
  return std::find(std::begin(kOwnOptions), std::end(kOwnOptions), name) != std::end(kOwnOptions);
}

// A name of Slurm's, such as a partition; several are separated by commas.
void check_name(const std::optional<std::string>& name, std::string_view field,
                config::Problems& problems) {
  constexpr std::string_view kOdd = " \t\"'\\#";
  if (name && (has_control(*name) || name->find_first_of(kOdd) != std::string::npos))
    problems.add(field, cat('`', printable(*name), '`'), "a name without blanks and quotes");
}

// A path for an option in the script. Slurm replaces % and letters in names of output files, and
// reads quotes as a shell does.
std::string quoted_path(const fs::path& path) {
  std::string text = "\"";
  for (const char c : path.string()) text += c == '%' ? std::string("%%") : std::string(1, c);
  const bool is_plain =
      !has_control(path.string()) && path.string().find_first_of("\"\\") == std::string::npos;
  require(is_plain, ExitCode::kUsage, "run.dir", path.string(),
          "a path without control characters, double quotes and backslashes for --submit");
  return text;
}

std::string job_name(std::string name) {
  for (char& c : name) {
    const bool is_safe = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                         (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
    if (!is_safe) c = '_';
  }
  return name.empty() ? "sluice" : name;
}

// "1-02:30:00"; Slurm counts in minutes.
std::string slurm_time(double seconds) {
  const auto minutes = static_cast<std::int64_t>(std::ceil(seconds / 60));
  const auto two = [](std::int64_t number) { return cat(number < 10 ? "0" : "", number); };
  return cat(minutes / 1440, '-', two(minutes / 60 % 24), ':', two(minutes % 60), ":00");
}

std::string options_of(const SlurmJob& job) {
  constexpr std::int64_t kMiB = 1 << 20;
  const SlurmConfig& c = job.config;
  std::string text;
  const auto add = [&](const auto&... parts) { text += cat("#SBATCH ", parts..., '\n'); };
  add("--job-name=", job_name(job.name));
  add("--array=1-", job.num_tasks);
  add("--nodes=1");
  add("--ntasks=1");
  if (c.cpus_per_task) add("--cpus-per-task=", *c.cpus_per_task);
  if (c.memory) add("--mem=", (c.memory->count + kMiB - 1) / kMiB, 'M');
  if (c.time) add("--time=", slurm_time(c.time->count));
  if (c.partition) add("--partition=", *c.partition);
  if (c.account) add("--account=", *c.account);
  if (c.gpus > 0) add("--gres=gpu:", c.gpus);
  add("--output=", quoted_path(job.directory / "slurm"), "/%A_%a.txt\"");
  add("--open-mode=append");
  add("--requeue");
  add("--signal=B:USR1@120");
  for (const std::string& option : c.extra) add(option);
  return text;
}

// Bash waits for the command in the background: a shell that waits in the foreground acts on a
// signal only afterwards.
constexpr std::string_view kWaitForCommand = R"(pid=$!

# Two minutes before the time limit, Slurm sends SIGUSR1 to this shell; scancel sends SIGTERM. The
# command then saves and ends with exit code 75.
signal= near_limit=
forward() { signal=$1; kill -s "$1" "$pid"; }
trap 'near_limit=1; forward USR1' USR1
trap 'forward TERM' TERM
wait "$pid"
code=$?
while [ -n "$signal" ] && [ "$code" -gt 128 ]; do  # a signal interrupted the wait
  signal=
  wait "$pid"
  code=$?
done

# At the time limit, the task enters the queue again and continues.
if [ "$code" -eq 75 ] && [ -n "$near_limit" ]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
)";

// The job id in the output of `sbatch --parsable`, "ID" or "ID;CLUSTER"; empty if there is none.
// Other lines are warnings.
std::string job_id_in(const std::string& output) {
  std::istringstream lines(output);
  std::string id;
  for (std::string line; std::getline(lines, line);) {
    const std::string first = line.substr(0, line.find(';'));
    if (!first.empty() && first.find_first_not_of("0123456789") == std::string::npos) {
      id = first;
    } else if (!line.empty()) {
      log::warn(printable(line, 400));
    }
  }
  return id;
}

int wait_for(Child& child) {
  bool is_stopping = false;
  for (;;) {
    pollfd end{.fd = child.end_descriptor(), .events = POLLIN, .revents = 0};
    ::poll(&end, 1, 200);
    if (const auto code = child.exit_code()) return *code;
    if (stop_requested() && !is_stopping) child.stop(stop_signal_number());
    is_stopping = stop_requested();
  }
}

}  // namespace

void SlurmConfig::check(const SlurmConfig& c, config::Problems& problems) {
  check_name(c.partition, "partition", problems);
  check_name(c.account, "account", problems);
  for (const std::string& option : c.extra) {
    const std::string received = cat('`', printable(option), '`');
    if (!option.starts_with('-') || has_control(option))
      problems.add("extra", received, "an option of sbatch in one line: --constraint=zen4");
    else if (is_own_option(option))
      problems.add("extra", received, "an option that the script does not set itself");
  }
}

std::string slurm_script(const SlurmJob& job) {
  std::string command;
  for (const std::string& word : job.command) command += cat(shell_word(word), ' ');
  std::string text = "#!/bin/bash\n";
  text +=
      cat("# Written by `sluice compare --submit slurm`. Each task trains its part of the runs; "
          "finished\n# runs are not repeated. The task that ends last completes the report.\n",
          options_of(job), '\n');
  text += cat("cd ", shell_word(job.working_directory.string()), " || exit 66\n");
  if (job.config.cpus_per_task)
    text += cat("export OMP_NUM_THREADS=", *job.config.cpus_per_task, '\n');
  return text +
         cat(command, "--cells \"$SLURM_ARRAY_TASK_ID/", job.num_tasks, "\" &\n", kWaitForCommand);
}

std::string find_sbatch() {
  std::string path = find_program("sbatch");
  require(!path.empty(), ExitCode::kUsage, "sbatch",
          "not found in PATH; expected Slurm's command, e.g. on a login node of the cluster; "
          "--dry-run prints the script without it");
  return path;
}

std::string submit(const SlurmJob& job, const std::string& sbatch) {
  const fs::path script = job.script_file();
  const std::string text = slurm_script(job);
  real_files().create_directories(script.parent_path());
  real_files().write_atomically(script, text);
  const ScratchDirectory scratch;
  const fs::path output = scratch.path() / "output.txt";
  // Variables of sbatch (SBATCH_ARRAY_INX) replace options in the script, but not these.
  Child child({sbatch, "--parsable", cat("--array=1-", job.num_tasks), script.string()}, output);
  const int code = wait_for(child);
  const std::string printed = read_file(output);
  if (code != 0) {
    throw_if_stopped("submitting the job");
    std::string message;
    std::istringstream lines(printed);
    for (std::string line; std::getline(lines, line);)
      if (!line.empty()) message += cat(message.empty() ? "" : "; ", line);
    fail(ExitCode::kUsage, "sbatch",
         cat("exit code ", code, message.empty() ? "" : ": ", printable(message, 800)),
         cat("a job that Slurm accepts; compare.slurm sets its options, the script is ",
             script.string()));
  }
  std::string id = job_id_in(printed);
  require(!id.empty(), ExitCode::kUsage, "sbatch", cat('`', printable(printed, 200), '`'),
          "the number of the job");
  return id;
}

}  // namespace sluice::compare
