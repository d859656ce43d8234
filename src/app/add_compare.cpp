#include "app/add_compare.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "app/commands.h"
#include "app/options.h"
#include "app/path_option.h"
#include "base/error.h"
#include "base/shell.h"
#include "base/stop_notice.h"
#include "base/text_format.h"
#include "config/scalars.h"

namespace sluice::app {
namespace {

// --report only reads existing runs; options that select or start runs contradict it.
void require_only_report(const CLI::App& command) {
  for (const char* name : {"CONFIG", "--set", "--seeds", "--only", "--jobs", "--runs-in",
                           "--dry-run", "--noise", "--cells", "--submit"})
    require(command.get_option(name)->count() == 0, ExitCode::kUsage, "--report",
            cat("cannot be combined with ", name));
}

void add_selection(CLI::App& command, CompareOptions& options) {
  command
      .add_option("--only", options.only,
                  "Run only these variants. If several keys vary, give one label such as "
                  "\"1e-3, relu\", or one value per option. May be repeated")
      ->allow_extra_args(false)
      ->type_name("VARIANT,...")
      ->check(not_empty("a variant"));
  const auto add_seeds = [&options](const std::vector<std::string>& words) {
    for (std::string rest : words) {
      for (std::size_t end = 0; end != std::string::npos;
           rest.erase(0, end == std::string::npos ? end : end + 1)) {
        end = rest.find(',');
        read_option("--seeds", rest.substr(0, end), {}, options.seeds.emplace_back());
      }
    }
  };
  command
      .add_option_function<std::vector<std::string>>("--seeds", add_seeds,
                                                     "Run only these seeds. May be repeated")
      ->allow_extra_args(false)
      ->type_name("N,...");
}

// For several machines.
void add_cluster(CLI::App& command, CompareOptions& options) {
  const auto set_part = [&options](const std::string& word) {
    options.part = compare::parse_part(word);
    if (!options.part)
      throw CLI::ValidationError(
          "--cells", cat("received `", word,
                         "`; expected K/N, the part K of N parts, with K from 1 to N: 1/4"));
  };
  CLI::Option* cells =
      command
          .add_option_function<std::string>(
              "--cells", set_part,
              "Train only part K of N of the runs. The parts may run at the same time, on machines "
              "that share the directory. The last one completes the report")
          ->type_name("K/N")
          ->excludes("--noise")
          ->excludes("--dry-run");
  const auto set_scheduler = [&options](const std::string& word) {
    read_option("--submit", word, {}, options.submit.emplace());
  };
  command
      .add_option_function<std::string>(
          "--submit", set_scheduler,
          "Submit the runs as one array job and return; compare.slurm has its resources. With "
          "--dry-run, print the script and submit nothing")
      ->type_name("slurm")
      ->excludes(cells)
      ->excludes("--noise")
      ->excludes("--measure")
      ->excludes("--json");
}

// The words without an option and its value.
std::vector<std::string> without(const std::vector<std::string>& words, std::string_view option,
                                 bool has_value) {
  std::vector<std::string> rest;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == option) {
      i += has_value ? 1 : 0;
    } else if (!words[i].starts_with(cat(option, '='))) {
      rest.push_back(words[i]);
    }
  }
  return rest;
}

std::string line_of(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) line += cat(line.empty() ? "" : " ", shell_word(word));
  return line;
}

// The command of a task of --submit: its program has an absolute path.
std::vector<std::string> command_of_tasks(const std::vector<std::string>& words) {
  std::vector<std::string> command =
      without(without(words, "--submit", /*has_value=*/true), "--dry-run", /*has_value=*/false);
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (!error && !program.native().ends_with(" (deleted)")) command[0] = program.string();
  return command;
}

}  // namespace

void add_compare(CLI::App& app, Action& action, const std::vector<std::string>& words) {
  auto options = std::make_shared<CompareOptions>();
  // The parts together are the comparison of the command without --cells.
  options->command_line = line_of(without(words, "--cells", /*has_value=*/true));
  if (!words.empty()) options->submit_command = command_of_tasks(words);
  auto jobs = std::make_shared<config::Auto<std::int64_t>>(1);
  CLI::App* command =
      app.add_subcommand("compare", "Train variants with several seeds and test the differences");
  add_config(*command, options->config);
  add_value(*command, "--jobs", *jobs, {.low = 1, .high = 1024},
            "Number of concurrent runs; auto measures which number finishes first (default 1)")
      ->type_name("N|auto");
  add_value(*command, "--runs-in", options->runs_in, {},
            "Concurrent runs are processes, or threads of one process; auto: threads on a GPU "
            "without MPS, else processes (default auto)")
      ->type_name("auto|processes|threads");
  CLI::Option* dry_run =
      command->add_flag("--dry-run", options->dry_run,
                        "Print the grid, its cost and the detectable difference; run nothing");
  command->add_flag("--measure", options->measure, "With --dry-run: time a few steps per variant")
      ->needs(dry_run);
  command
      ->add_flag("--noise", options->noise,
                 "Train only the baseline, varying one source of randomness at a time: initial "
                 "values, data order, dropout, rounding. Prints the share of each in the variance")
      ->excludes(dry_run);
  add_selection(*command, *options);
  command
      ->add_option("--report", options->report,
                   "Only write the report, merging the runs of these directories into the first")
      ->type_name("DIR ...")
      ->transform(home_path())
      ->check(not_empty("a directory"));
  command->add_flag("--json", options->json, "Print the result as one JSON object on stdout");
  add_cluster(*command, *options);
  command->footer(
      "Run the same command again to continue a stopped comparison. See docs/comparison.md.\n"
      "Example:\n"
      "  sluice compare configs/compare/quickstart.yaml --seeds 1 --only relu,geglu\n"
      "On a cluster:\n"
      "  sluice compare my.yaml --submit slurm\n"
      "On two machines that share the directory, at the same time:\n"
      "  sluice compare my.yaml --cells 1/2\n"
      "  sluice compare my.yaml --cells 2/2");
  command->callback([=, &action] {
    action = [=] {
      if (options->report.empty()) {
        require_config(options->config);
      } else {
        require_only_report(*command);
      }
      options->jobs = static_cast<int>(jobs->value_or(0));
      log_ignored_stops();
      compare_command(*options);
    };
  });
}

void add_audit(CLI::App& app, Action& action) {
  auto options = std::make_shared<AuditOptions>();
  auto seed = std::make_shared<std::uint64_t>(0);
  CLI::App* command = app.add_subcommand(
      "audit", "Check the files of a comparison and train some of its runs again");
  command
      ->add_option("DIR", options->directories,
                   "Directory of the comparison; several if its report merges several")
      ->required()
      ->transform(home_path())
      ->check(not_empty("a directory"));
  add_value(*command, "--cells", options->cells, {.low = 0, .high = 10'000},
            "Number of finished runs to train again; 0: only check the files (default 1)");
  CLI::Option* const given = add_value(*command, "--seed", *seed, {},
                                       "Seed of the choice of runs (default: random, printed)");
  command->add_flag("--json", options->json, "Print the result as one JSON object on stdout");
  command->footer(
      "See docs/comparison.md.\n"
      "Example:\n  sluice audit runs/quickstart_compare --cells 2");
  command->callback([=, &action] {
    action = [=] {
      if (given->count() > 0) options->seed = *seed;
      log_ignored_stops();
      audit_command(*options);
    };
  });
}

}  // namespace sluice::app
