#include "app/add_launch.h"

#include <algorithm>
#include <memory>
#include <string_view>

#include "app/options.h"
#include "base/text_format.h"
#include "cluster/launcher.h"

namespace sluice::app {
namespace {

constexpr double kMostProcesses = 1024;

// `arguments`: argv of each process.
void launch_command(int num, const std::vector<std::string>& arguments) {
  require(arguments.size() > 1, ExitCode::kUsage, "COMMAND",
          "missing argument; expected `train` and its arguments");
  if (const int code = cluster::launch(num, "/proc/self/exe", arguments); code != 0)
    throw OtherOutcome{code};
}

}  // namespace

int take_launched(int argc, char** argv, std::vector<std::string>& arguments) {
  if (argc > 0) arguments.emplace_back(argv[0]);
  if (argc < 2 || std::string_view(argv[1]) != "launch") return argc;
  const auto end = argv + argc;
  const auto train = std::find_if(
      argv + 2, end, [](const char* word) { return std::string_view(word) == "train"; });
  arguments.insert(arguments.end(), train, end);
  return static_cast<int>(train - argv);
}

void add_launch(CLI::App& app, Action& action, std::vector<std::string> arguments) {
  auto num = std::make_shared<std::int64_t>(0);
  CLI::App* command = app.add_subcommand("launch",
                                         "Run `train` and its arguments, which follow, in several "
                                         "processes on this machine that share "
                                         "each step");
  add_value(*command, "-n,--processes", *num, {.low = 1, .high = kMostProcesses},
            "Number of processes")
      ->required();
  // Without it, take_launched() leaves what was given instead.
  command->allow_extras();
  command->footer(
      "The processors are divided among the processes unless OMP_NUM_THREADS or train.threads is\n"
      "set. A run that is continued keeps its number of threads.\n"
      "If a process fails, the others end; those that have not after 10 s are killed.\n"
      "Example:\n  sluice launch -n 2 train configs/quickstart.yaml");
  command->callback([=, &action] {
    action = [=] {
      if (const std::vector<std::string> others = command->remaining(); !others.empty())
        fail(ExitCode::kUsage, "COMMAND", cat('`', others.front(), '`'),
             "`train` and its arguments");
      launch_command(static_cast<int>(*num), arguments);
    };
  });
}

}  // namespace sluice::app
