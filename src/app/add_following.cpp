#include "app/add_following.h"

#include <memory>
#include <string>

#include "app/options.h"
#include "app/path_option.h"
#include "app/report_command.h"
#include "app/shell_commands.h"

namespace sluice::app {
namespace {

void add_report(CLI::App& app, Action& action) {
  auto options = std::make_shared<ReportOptions>();
  CLI::App* command = app.add_subcommand(
      "report", "Write a page with the curves, speed and settings of one or several runs");
  command->add_option("RUN", options->runs, "Run directories; they may still be training")
      ->required()
      ->transform(home_path())
      ->check(not_empty("a directory"));
  command
      ->add_option("--out", options->out,
                   "The page (default: RUN/report.html, or report.html for several runs)")
      ->type_name("FILE")
      ->transform(home_path())
      ->check(not_empty("a file name"));
  command->footer(
      "The differences are not tested; `sluice compare` does that.\n"
      "Example:\n  sluice report runs/quickstart runs/geglu --out report.html");
  command->callback([=, &action] { action = [=] { report_command(*options); }; });
}

void add_completion(CLI::App& app, Action& action) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command =
      app.add_subcommand("completion", "Print a script that completes commands in a shell");
  command->add_option("SHELL", *shell, "bash, zsh or fish")->required()->type_name("bash|zsh|fish");
  command->footer("Example:\n  sluice completion bash > ~/.sluice_completion");
  command->callback(
      [=, &app, &action] { action = [=, &app] { completion_command(app, *shell); }; });
}

void add_man(CLI::App& app, Action& action) {
  auto directory = std::make_shared<std::string>("man");
  CLI::App* command = app.add_subcommand("man", "Write a manual page for each command");
  command
      ->add_option("--out", *directory,
                   "Directory that gets a folder man1 with the pages (default man)")
      ->type_name("DIR")
      ->transform(home_path())
      ->check(not_empty("a directory"));
  command->footer("Example:\n  sluice man --out ~/.local/share/man");
  command->callback([=, &app, &action] { action = [=, &app] { man_command(app, *directory); }; });
}

}  // namespace

void add_following(CLI::App& app, Action& action) {
  add_report(app, action);
  add_completion(app, action);
  add_man(app, action);
}

}  // namespace sluice::app
