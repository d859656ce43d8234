#include "app/command_line.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "app/action.h"
#include "app/add_compare.h"
#include "app/add_following.h"
#include "app/add_generate.h"
#include "app/add_interop.h"
#include "app/add_launch.h"
#include "app/commands.h"
#include "app/options.h"
#include "app/path_option.h"
#include "app/verdict_command.h"
#include "base/error.h"
#include "base/log.h"
#include "base/shell.h"
#include "base/signals.h"
#include "base/stop_notice.h"
#include "base/text_format.h"
#include "base/version.h"
#include "config/aliases.h"
#include "config/scalars.h"
#include "config/suggest.h"
#include "ops/torch_warnings.h"

namespace sluice::app {
namespace {

void add_train(CLI::App& app, Action& action, std::string command_line, std::string program) {
  auto options = std::make_shared<TrainOptions>();
  options->command_line = std::move(command_line);
  options->program = std::move(program);
  auto resume = std::make_shared<bool>(false), fresh = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand("train", "Train a model; prepares the data if needed");
  add_config(*command, options->config,
             "Configuration file (YAML); with --resume also a run directory");
  CLI::Option* resume_flag =
      command->add_flag("--resume", *resume,
                        "Continue from the newest valid checkpoint. With a run directory, use the "
                        "settings of the run. With a configuration file, start the run if it does "
                        "not exist, and keep each --set of earlier starts unless a new --set or an "
                        "edit of the file changes the same key");
  command
      ->add_flag("--fresh", *fresh,
                 "Start over. An existing run is renamed, never deleted, once the new run is ready "
                 "to train")
      ->excludes(resume_flag);
  command
      ->add_option("--run-dir", options->run_dir,
                   "Run directory (default: run.dir of the configuration)")
      ->type_name("DIR")
      ->transform(home_path())
      ->check(not_empty("a directory"));
  command
      ->add_option("--dump-batches", options->dump_batches,
                   "Also write the first batches to a safetensors file (inputs, targets)")
      ->type_name("FILE")
      ->transform(home_path())
      ->check(not_empty("a file name"));
  add_value(*command, "--dump-steps", options->dump_steps, kPositive,
            "Number of steps that --dump-batches writes (default 50)");
  command->add_flag("--json", options->json, "Print the result as one JSON object on stdout");
  command->footer(
      "Example:\n"
      "  sluice train configs/quickstart.yaml --set train.steps=100 model.ffn=geglu --run-dir "
      "runs/geglu\n"
      "Continue after a stop or a crash:\n"
      "  sluice train --resume runs/geglu");
  command->callback([=, &action] {
    action = [=] {
      if (*resume)
        require(!options->config.config.empty(), ExitCode::kUsage, "CONFIG",
                "missing argument; expected a configuration file or a run directory, e.g. "
                "runs/quickstart");
      require_config(options->config);
      options->mode = *resume  ? store::StartMode::kResume
                      : *fresh ? store::StartMode::kFresh
                               : store::StartMode::kNew;
      log_ignored_stops();
      train_command(*options);
    };
  });
}

void add_prepare(CLI::App& app, Action& action) {
  auto options = std::make_shared<PrepareOptions>();
  CLI::App* command = app.add_subcommand(
      "prepare", "Train the tokenizer and write token shards, unless they are up to date");
  add_config(*command, options->config);
  command->add_flag("--json", options->json, "Print the result as one JSON object on stdout");
  command->footer("Example:\n  sluice prepare configs/quickstart.yaml");
  command->callback([=, &action] {
    action = [=] {
      require_config(options->config);
      prepare_command(*options);
    };
  });
}

void add_eval(CLI::App& app, Action& action) {
  auto options = std::make_shared<EvalOptions>();
  CLI::App* command = app.add_subcommand(
      "eval", "Compute perplexity on the held-out set of a run or on other text");
  add_run(*command, options->run);
  command
      ->add_option("--data", options->data,
                   "Text files to score instead of the held-out set; --format defaults to the "
                   "corpus.format of the run")
      ->type_name("FILE")
      ->transform(home_path())
      ->check(not_empty("a file name"));
  add_value(*command, "--stride", options->stride, kPositive,
            "Tokens between the starts of consecutive windows. A stride below the sequence length "
            "gives each token more context");
  add_value(*command, "--max-tokens", options->max_tokens, kPositive,
            "Score at most this many tokens, evenly spaced. Span corruption scores whole segments, "
            "at least one");
  add_value(*command, "--overlap-above", options->overlap_above, {.low = 0, .high = 1},
            "Also print the figure without documents of which more than this share is contained in "
            "the training text (default 0.5)");
  command->get_option("--overlap-above")->excludes(command->get_option("--data"));
  command->add_flag("--json", options->json, "Print the result as one JSON object on stdout");
  command
      ->add_option("--format", options->format,
                   "With --data: text, lines, paragraphs or jsonl (default: corpus.format of the "
                   "run)")
      ->type_name("FORMAT");
  command
      ->add_option("--text-field", options->text_field,
                   "With --data: the JSON field that contains the text")
      ->type_name("NAME");
  add_allow_older(*command, options->allow_older);
  command->footer("Example:\n  sluice eval runs/quickstart --stride 64 --json");
  command->callback([=, &action] { action = [=] { eval_command(*options); }; });
}

void add_plan(CLI::App& app, Action& action) {
  auto options = std::make_shared<PlanOptions>();
  CLI::App* command = app.add_subcommand(
      "plan", "Estimate parameters, FLOPs, memory, disk space and time without training");
  add_config(*command, options->config);
  command->add_flag("--measure", options->measure,
                    "Time a few steps on this machine with random tokens");
  add_value(*command, "--measure-steps", options->num_measured_steps, kPositive,
            "--measure with this number of steps, after a first one (default 5)")
      ->excludes(add_value(*command, "--processes", options->num_processes, kPositive,
                           "Memory of one process of a run with this number of processes")
                     ->excludes("--measure"));
  command->add_flag("--json", options->json, "Print the result as one JSON object on stdout");
  command->footer("Example:\n  sluice plan configs/quickstart.yaml --measure");
  command->callback([=, &action] {
    action = [=] {
      require_config(options->config);
      plan_command(*options);
    };
  });
}

void add_verify(CLI::App& app, Action& action) {
  auto options = std::make_shared<VerifyOptions>();
  CLI::App* command = app.add_subcommand("verify",
                                         "Verify the hashes and the consistency of a run and its "
                                         "prepared data, or of one checkpoint");
  command->add_option("RUN", options->run, "Run directory or checkpoint directory")
      ->required()
      ->transform(home_path())
      ->check(not_empty("a directory"));
  command->add_flag("--json", options->json, "Print the result as one JSON object on stdout");
  add_allow_older(*command, options->allow_older);
  command->footer("Example:\n  sluice verify runs/quickstart");
  command->callback([=, &action] { action = [=] { verify_command(*options); }; });
}

void add_verdict(CLI::App& app, Action& action) {
  auto options = std::make_shared<VerdictOptions>();
  CLI::App* command = app.add_subcommand(
      "verdict", "Print the outcome of a comparison, one line per variant; the exit code tells it");
  command
      ->add_option("DIR", options->directories,
                   "Directory of a comparison; several are merged, as by compare --report")
      ->required()
      ->transform(home_path())
      ->check(not_empty("a directory"));
  command->add_flag("--json", options->json, "Print the result as one JSON object on stdout");
  command->footer(
      "Exit codes: 80 differs, 81 equivalent, 82 undecided, 83 broken (docs/exit-codes.md).\n"
      "Example:\n  sluice verdict runs/compare_t5_prose");
  command->callback([=, &action] { action = [=] { verdict_command(*options); }; });
}

void add_config_commands(CLI::App& app, Action& action) {
  CLI::App* group = app.add_subcommand("config", "Show, check and document configurations");
  group->require_subcommand(1);
  group->footer("Example:\n  sluice config check my.yaml");
  const auto with_file = [&](const char* name, const char* what, const char* example,
                             void (*run)(const ConfigOptions&)) {
    auto options = std::make_shared<ConfigOptions>();
    CLI::App* command = group->add_subcommand(name, what);
    add_config(*command, *options);
    command->footer(example);
    command->callback([=, &action] {
      action = [=] {
        require_config(*options);
        run(*options);
      };
    });
  };
  with_file("show", "Print the resolved configuration as YAML, with defaults and documentation",
            "Example:\n  sluice config show configs/quickstart.yaml --set model.ffn=geglu",
            config_show_command);
  with_file("check", "Report every problem of a configuration with file and line",
            "Example:\n  sluice config check my.yaml", config_check_command);
  CLI::App* schema =
      group->add_subcommand("schema", "Print the JSON Schema of the configuration, for editors");
  schema->footer("Example:\n  sluice config schema > sluice.schema.json");
  schema->callback([&action] { action = config_schema_command; });
  CLI::App* docs = group->add_subcommand("docs", "Print the configuration reference (Markdown)");
  docs->footer("Example:\n  sluice config docs > docs/config.md");
  docs->callback([&action] { action = config_docs_command; });
}

void add_schema(CLI::App& app, Action& action) {
  auto options = std::make_shared<SchemaOptions>();
  CLI::App* command = app.add_subcommand(
      "schema", "Print the JSON Schemas of the files that Sluice writes and of --json output");
  command->add_option("NAME", options->name,
                      "Record whose schema is printed (default: list the records)");
  command->add_flag("--docs", options->docs, "Print the reference of all records (Markdown)");
  command->footer("Example:\n  sluice schema result");
  command->callback([=, &action] { action = [=] { schema_command(*options); }; });
}

void add_doctor(CLI::App& app, Action& action) {
  auto options = std::make_shared<DoctorOptions>();
  CLI::App* command = app.add_subcommand(
      "doctor", "Report versions, CPU, memory and GPU, and how they affect speed");
  command->add_flag("--json", options->json, "Print the result as one JSON object on stdout");
  command->footer("Example:\n  sluice doctor");
  command->callback([=, &action] { action = [=] { doctor_command(*options); }; });
}

// Started by compare. Not listed.
void add_worker(CLI::App& app, Action& action, const std::string& program) {
  CLI::App* command = app.add_subcommand(std::string(kWorkerCommand), "")->group("");
  command->callback([=, &action] {
    action = [=] {
      log_ignored_stops();
      worker_command(program);
    };
  });
}

// Returns true after reporting `word` as unknown, with suggestions. CLI11 would only report a
// missing command.
bool reject_unknown_command(const CLI::App& app, const std::string& word) {
  if (word == kWorkerCommand) return false;
  std::vector<std::string> commands;
  for (const CLI::App* command : app.get_subcommands({}))
    if (!command->get_group().empty()) commands.push_back(command->get_name());
  if (std::find(commands.begin(), commands.end(), word) != commands.end()) return false;
  std::vector<std::string> suggestions;
  for (const std::string_view name : config::names_for(config::AliasKind::kCommand, word))
    suggestions.emplace_back(name);
  if (config::folded(word) == "help") suggestions = {"--help"};
  const std::string_view nearest =
      config::nearest(word, std::vector<std::string_view>(commands.begin(), commands.end()));
  if (suggestions.empty() && !nearest.empty()) suggestions.emplace_back(nearest);
  std::string all;
  for (const std::string& command : commands) all += cat(all.empty() ? "" : ", ", command);
  log::error(cat("`", printable(word), "` is not a command; expected one of ", all,
                 suggestions.empty()
                     ? ""
                     : cat(" (did you mean `", config::alternatives(suggestions), "`?)")));
  return true;
}

// CLI11's own messages in the form of ours: "SUBJECT: STATEMENT".
std::string error_text(const CLI::App& app, const CLI::ParseError& error) {
  const std::string what = error.what(), kind = error.get_name();
  const auto reworded = [&](std::string_view separator, std::string_view statement) {
    const std::size_t at = what.find(separator);
    return at == std::string::npos
               ? what
               : cat(what.substr(0, at), statement, what.substr(at + separator.size()));
  };
  // CLI11 lists the words from the last one to the first.
  if (what.starts_with("The following argument"))
    return cat(app.remaining(/*recurse=*/true).front(), ": unexpected argument");
  if (kind == "RequiredError" && what.starts_with("A subcommand"))
    return "COMMAND: missing argument";
  if (kind == "RequiredError") return reworded(" is required", ": missing argument");
  if (kind == "ExcludesError") return reworded(" excludes ", ": cannot be combined with ");
  if (kind == "RequiresError") return reworded(" requires ", ": requires ");
  return what;
}

}  // namespace

int run(int argc, char** argv) {
  ops::log_torch_warnings();
  Action action;
  CLI::App app(
      "Sluice trains Transformer language models with GLU-family feed-forward layers from YAML.",
      "sluice");
  app.set_version_flag("--version", cat("sluice ", build_name()));
  app.require_subcommand(1);
  app.footer(
      "Numbers are written as in configurations (docs/config.md): 4096, 0.1, 2e-3. An option may\n"
      "be given once unless its help allows more. Write --option=VALUE if the value starts with\n"
      "a dash.\n"
      "Example:\n  sluice train configs/quickstart.yaml\n"
      "SIGINT (Ctrl-C), SIGTERM, SIGHUP and SIGUSR1 stop a command after its current step with\n"
      "exit code 75; training saves a checkpoint first. A second signal at least 1 s later stops\n"
      "the command immediately.\n"
      "Exit codes and signals: docs/exit-codes.md");
  install_signal_handlers();
  std::string command_line;
  for (int i = 0; i < argc; ++i) command_line += cat(i > 0 ? " " : "", shell_word(argv[i]));
  const std::string program = shell_program(argc > 0 ? argv[0] : "");
  add_train(app, action, command_line, program);
  std::vector<std::string> launched;
  argc = take_launched(argc, argv, launched);
  add_launch(app, action, std::move(launched));
  add_prepare(app, action);
  add_eval(app, action);
  add_generate(app, action);
  add_export(app, action);
  add_import(app, action, command_line, program);
  add_score(app, action);
  add_plan(app, action);
  add_compare(app, action, {argv, argv + argc});
  add_audit(app, action);
  add_worker(app, action, program);
  add_verdict(app, action);
  add_verify(app, action);
  add_config_commands(app, action);
  add_schema(app, action);
  add_following(app, action);
  add_doctor(app, action);
  if (argc > 1 && argv[1][0] != '-' && reject_unknown_command(app, argv[1]))
    return static_cast<int>(ExitCode::kUsage);
  try {
    app.parse(checked_arguments(app, argc, argv));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0)  // --help, --version
      return static_cast<int>(run_action([&] { app.exit(error, std::cout, std::cerr); }));
    log::error(cat(printable(error_text(app, error), std::string::npos), "; see `sluice ",
                   argc > 1 && argv[1][0] != '-' ? printable(argv[1]) : "COMMAND", " --help`"));
    return static_cast<int>(ExitCode::kUsage);
  }
  const ExitCode code = run_action(action);
  log::close_file();
  return static_cast<int>(code);
}

}  // namespace sluice::app
