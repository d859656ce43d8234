#include "app/command_line.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "app/action.h"
#include "app/commands.h"
#include "app/options.h"
#include "app/path_option.h"
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

// `--set a.b=c d.e=f`: takes what follows it; a first word without "=" is the configuration that came after the option.
void add_config(CLI::App& command, ConfigOptions& options, const char* what = "Configuration file (YAML)") {
  command.add_option("CONFIG", options.config, what)->transform(home_path())->check(not_empty("a file name"));
  command
      .add_option_function<std::vector<std::string>>(
          "--set",
          [&options](const std::vector<std::string>& words) {
            for (const std::string& word : words) {
              if (word.find('=') == std::string::npos && options.config.empty()) {
                options.config = word;
              } else {
                options.overrides.push_back(word);
              }
            }
          },
          "Override a field: optimizer.lr=1e-3, model.ffn=geglu; any number of them")
      ->type_name("KEY=VALUE")
      ->check(not_empty("KEY=VALUE"))
      ->take_all();
}

constexpr config::Limits kPositive{.low = 0, .low_open = true};
constexpr config::Limits kNotNegative{.low = 0};

void require_config(const ConfigOptions& options) {
  require(!options.config.empty(), ExitCode::kUsage, "CONFIG", "nothing", "a configuration file, such as configs/quickstart.yaml");
}

void add_train(CLI::App& app, Action& action, std::string command_line, std::string program) {
  auto options = std::make_shared<TrainOptions>();
  options->command_line = std::move(command_line);
  options->program = std::move(program);
  auto resume = std::make_shared<bool>(false), fresh = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand("train", "Train a model; prepares the data first where needed");
  add_config(*command, options->config, "Configuration file (YAML); with --resume also a run directory, which needs no file");
  CLI::Option* resume_flag = command->add_flag(
      "--resume", *resume,
      "Continue from the newest valid checkpoint. With a file, starts a run where there is none; the --set of earlier starts hold until "
      "another --set or an edit of the file says otherwise. With a run directory, takes the run's own settings");
  command
      ->add_flag("--fresh", *fresh,
                 "Start again; an old run in the directory is renamed, never deleted, and only when all but the training has gone well")
      ->excludes(resume_flag);
  command->add_option("--run-dir", options->run_dir, "Run directory, instead of the configuration's run.dir")
      ->type_name("DIR")
      ->transform(home_path())
      ->check(not_empty("a directory"));
  command->add_option("--dump-batches", options->dump_batches, "Also write the first batches to a safetensors file (inputs, targets)")
      ->type_name("FILE")
      ->transform(home_path())
      ->check(not_empty("a file name"));
  add_value(*command, "--dump-steps", options->dump_steps, kPositive, "How many steps' batches --dump-batches writes (default 50)");
  command->add_flag("--json", options->json, "Print the result as one JSON object on stdout");
  command->footer(
      "Example:\n  sluice train configs/quickstart.yaml --set train.steps=100 model.ffn=geglu --run-dir runs/geglu\nContinue it after a "
      "stop or a crash:\n  sluice train --resume runs/geglu");
  command->callback([=, &action] {
    action = [=] {
      require(!options->config.config.empty(), ExitCode::kUsage, "CONFIG", "nothing",
              *resume ? "a configuration file or a run directory, such as runs/quickstart"
                      : "a configuration file, such as configs/quickstart.yaml");
      options->mode = *resume ? store::StartMode::kResume : *fresh ? store::StartMode::kFresh : store::StartMode::kNew;
      tell_of_ignored_stops();
      train_command(*options);
    };
  });
}

void add_prepare(CLI::App& app, Action& action) {
  auto options = std::make_shared<PrepareOptions>();
  CLI::App* command = app.add_subcommand("prepare", "Corpus to tokenizer to token shards; does nothing when they are up to date");
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

void add_older(CLI::App& command, bool& allow_older) {
  command.add_flag("--allow-older-checkpoint", allow_older,
                   "Where the newest checkpoint is damaged or gone, take the newest one that verifies instead of refusing (exit code 78)");
}

void add_eval(CLI::App& app, Action& action) {
  auto options = std::make_shared<EvalOptions>();
  CLI::App* command = app.add_subcommand("eval", "Perplexity on the run's held-out set or on any text");
  command->add_option("RUN", options->run, "Run directory (its newest checkpoint) or a checkpoint directory")
      ->required()
      ->transform(home_path())
      ->check(not_empty("a directory"));
  command
      ->add_option("--data", options->data,
                   "Text files to score instead of the held-out set, read as the run's corpus.format unless --format is given")
      ->type_name("FILE")
      ->transform(home_path())
      ->check(not_empty("a file name"));
  add_value(*command, "--stride", options->stride, kPositive,
            "Tokens between the starts of windows; smaller than the sequence length gives each token more context");
  add_value(*command, "--max-tokens", options->max_tokens, kPositive,
            "Score at most this many tokens, evenly spread; with span corruption whole segments, at least one even where that has "
            "more targets");
  command->add_flag("--json", options->json, "Print the result as one JSON object on stdout");
  command
      ->add_option("--format", options->format,
                   "With --data: what a document is, one of text, lines, paragraphs, jsonl; default: the run's corpus.format")
      ->type_name("FORMAT");
  command->add_option("--text-field", options->text_field, "With --data: the field of a JSON line that holds the text")->type_name("NAME");
  add_older(*command, options->allow_older);
  command->footer("Example:\n  sluice eval runs/quickstart --stride 64 --json");
  command->callback([=, &action] { action = [=] { eval_command(*options); }; });
}

void add_generate(CLI::App& app, Action& action) {
  auto options = std::make_shared<GenerateOptions>();
  CLI::App* command = app.add_subcommand("generate", "Sample text from a trained model: continue a prompt, or fill its blanks");
  command->add_option("RUN", options->run, "Run directory (its newest checkpoint) or a checkpoint directory")
      ->required()
      ->transform(home_path())
      ->check(not_empty("a directory"));
  command->add_option("--prompt", options->prompt, "Text to continue; for an encoder-decoder, text with blanks written ___ to fill")
      ->required()
      ->type_name("TEXT");
  const GenerateOptions usual;
  add_value(*command, "--tokens", options->num_tokens, kPositive, "Most tokens to generate, for all blanks together")
      ->default_str(cat(usual.num_tokens));
  add_value(*command, "--temperature", options->temperature, kNotNegative, "Divides the logits; 0 takes the likeliest token")
      ->default_str(cat(usual.temperature));
  add_value(*command, "--top-k", options->top_k, kNotNegative, "Sample among the k likeliest tokens only; 0: all")
      ->default_str(cat(usual.top_k));
  add_value(*command, "--top-p", options->top_p, {.low = 0, .high = 1, .low_open = true},
            "Sample among the likeliest tokens that hold this probability")
      ->default_str(cat(usual.top_p));
  add_value(*command, "--seed", options->seed, {}, "Seed of the sampling")->default_str(cat(usual.seed));
  command->add_flag("--json", options->json, "Print the result as one JSON object on stdout");
  add_older(*command, options->allow_older);
  command->footer("Example:\n  sluice generate runs/quickstart --prompt \"In the beginning\" --tokens 100 --temperature 0.8 --top-k 40");
  command->callback([=, &action] { action = [=] { generate_command(*options); }; });
}

void add_plan(CLI::App& app, Action& action) {
  auto options = std::make_shared<PlanOptions>();
  CLI::App* command = app.add_subcommand("plan", "Parameters, FLOPs, memory, disk and time, without training");
  add_config(*command, options->config);
  command->add_flag("--measure", options->measure, "Time a few steps on this machine, on random tokens");
  command->add_flag("--json", options->json, "Print the result as one JSON object on stdout");
  command->footer("Example:\n  sluice plan configs/quickstart.yaml --measure");
  command->callback([=, &action] {
    action = [=] {
      require_config(options->config);
      plan_command(*options);
    };
  });
}

// The report is made from what lies in the directories.
void refuse_beside_report(const CLI::App& command) {
  for (const char* name : {"CONFIG", "--set", "--seeds", "--only", "--jobs", "--dry-run"})
    require(command.get_option(name)->count() == 0, ExitCode::kUsage, "--report", cat(name, " with it"),
            "directories only: the report says what lies there");
}

void add_compare(CLI::App& app, Action& action, std::string command_line) {
  auto options = std::make_shared<CompareOptions>();
  options->command_line = std::move(command_line);
  auto jobs = std::make_shared<config::Auto<std::int64_t>>(1);
  CLI::App* command =
      app.add_subcommand("compare", "Train variants under several seeds, each run in a process of its own, and report which differ");
  add_config(*command, options->config);
  add_value(*command, "--jobs", *jobs, {.low = 1, .high = 1024},
            "Runs side by side, which share the processors; auto: measures what finishes soonest (default 1)")
      ->type_name("N|auto");
  CLI::Option* dry_run =
      command->add_flag("--dry-run", options->dry_run, "Show the grid, its cost and the detectable difference; run nothing");
  command->add_flag("--measure", options->measure, "With --dry-run: time some steps of each variant")->needs(dry_run);
  command
      ->add_option(
          "--only", options->only,
          "Only these variants in this session; where several keys vary, one label such as \"1e-3, relu\" or one value each time; may "
          "be repeated")
      ->allow_extra_args(false)
      ->type_name("VARIANT,...")
      ->check(not_empty("a variant"));
  const auto add_seeds = [options](const std::vector<std::string>& words) {
    for (std::string rest : words) {
      for (std::size_t end = 0; end != std::string::npos; rest.erase(0, end == std::string::npos ? end : end + 1)) {
        end = rest.find(',');
        read_option("--seeds", rest.substr(0, end), {}, options->seeds.emplace_back());
      }
    }
  };
  command->add_option_function<std::vector<std::string>>("--seeds", add_seeds, "Only these seeds in this session; may be repeated")
      ->allow_extra_args(false)
      ->type_name("N,...");
  command->add_option("--report", options->report, "Only write the report, from the runs in these directories (into the first)")
      ->type_name("DIR ...")
      ->transform(home_path())
      ->check(not_empty("a directory"));
  command->add_flag("--json", options->json, "Print the result as one JSON object on stdout");
  command->footer(
      "The same command goes on where it was stopped. docs/comparison.md explains it.\nExample:\n  sluice compare "
      "configs/compare/quickstart.yaml --seeds 1 --only relu,geglu");
  command->callback([=, &action] {
    action = [=] {
      if (options->report.empty()) {
        require_config(options->config);
      } else {
        refuse_beside_report(*command);
      }
      options->jobs = static_cast<int>(jobs->value_or(0));
      tell_of_ignored_stops();
      compare_command(*options);
    };
  });
}

void add_verify(CLI::App& app, Action& action) {
  auto options = std::make_shared<VerifyOptions>();
  CLI::App* command =
      app.add_subcommand("verify", "Check every file of a run and of its prepared data by hash or against each other, or one checkpoint");
  command->add_option("RUN", options->run, "Run directory or checkpoint directory")
      ->required()
      ->transform(home_path())
      ->check(not_empty("a directory"));
  command->add_flag("--json", options->json, "Print the result as one JSON object on stdout");
  add_older(*command, options->allow_older);
  command->footer("Example:\n  sluice verify runs/quickstart");
  command->callback([=, &action] { action = [=] { verify_command(*options); }; });
}

void add_config_commands(CLI::App& app, Action& action) {
  CLI::App* group = app.add_subcommand("config", "Show, check and document configurations");
  group->require_subcommand(1);
  group->footer("Example:\n  sluice config check my.yaml");
  const auto with_file = [&](const char* name, const char* what, const char* example, void (*run)(const ConfigOptions&)) {
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
  with_file("show", "The whole configuration with every default and its documentation, as YAML on stdout",
            "Example:\n  sluice config show configs/quickstart.yaml --set model.ffn=geglu", config_show_command);
  with_file("check", "Every problem of a configuration, each with file and line", "Example:\n  sluice config check my.yaml",
            config_check_command);
  CLI::App* schema = group->add_subcommand("schema", "JSON Schema for editors, on stdout");
  schema->footer("Example:\n  sluice config schema > sluice.schema.json");
  schema->callback([&action] { action = config_schema_command; });
  CLI::App* docs = group->add_subcommand("docs", "The reference page (Markdown), on stdout");
  docs->footer("Example:\n  sluice config docs > docs/config.md");
  docs->callback([&action] { action = config_docs_command; });
}

void add_schema(CLI::App& app, Action& action) {
  auto options = std::make_shared<SchemaOptions>();
  CLI::App* command = app.add_subcommand("schema", "The JSON that Sluice writes: files, and what --json prints");
  command->add_option("NAME", options->name, "Print the JSON Schema of this one; without a name, list them");
  command->add_flag("--docs", options->docs, "Print the reference page (Markdown)");
  command->footer("Example:\n  sluice schema result");
  command->callback([=, &action] { action = [=] { schema_command(*options); }; });
}

void add_doctor(CLI::App& app, Action& action) {
  auto options = std::make_shared<DoctorOptions>();
  CLI::App* command = app.add_subcommand("doctor", "Versions, processor, memory, GPU, and what they mean for speed");
  command->add_flag("--json", options->json, "Print the result as one JSON object on stdout");
  command->footer("Example:\n  sluice doctor");
  command->callback([=, &action] { action = [=] { doctor_command(*options); }; });
}

// CLI11 would say that a command is missing.
bool refuses_command(const CLI::App& app, const std::string& word) {
  std::vector<std::string> commands;
  for (const CLI::App* command : app.get_subcommands({})) commands.push_back(command->get_name());
  if (std::find(commands.begin(), commands.end(), word) != commands.end()) return false;
  std::vector<std::string> meant;
  for (const std::string_view ours : config::ours_for(config::AliasOf::kCommand, word)) meant.emplace_back(ours);
  if (config::folded(word) == "help") meant = {"--help"};
  const std::string_view near = config::nearest(word, std::vector<std::string_view>(commands.begin(), commands.end()));
  if (meant.empty() && !near.empty()) meant.emplace_back(near);
  std::string all;
  for (const std::string& command : commands) all += cat(all.empty() ? "" : ", ", command);
  log::error(cat("`", printable(word), "` is no command; expected one of ", all,
                 meant.empty() ? "" : cat(" (did you mean `", config::alternatives(meant), "`?)")));
  return true;
}

}  // namespace

int run(int argc, char** argv) {
  ops::log_torch_warnings();
  Action action;
  CLI::App app("Sluice trains Transformer language models with GLU-family feed-forward layers from YAML.", "sluice");
  app.set_version_flag("--version", cat("sluice ", build_name()));
  app.require_subcommand(1);
  app.footer(
      "Numbers follow the rules of configurations (docs/config.md): 4096, 0.1, 2e-3. An option is given once, unless its help says\n"
      "otherwise. Write --option=VALUE for a value that starts with a dash.\n"
      "Example:\n  sluice train configs/quickstart.yaml\n"
      "Ctrl-C (SIGINT), SIGTERM, SIGHUP and SIGUSR1 stop a command after its current step, with what it\n"
      "has saved and exit code 75; again, 1 s later or more, they stop it at once.\n"
      "Exit codes and signals: docs/exit-codes.md");
  install_signal_handlers();
  std::string command_line;
  for (int i = 0; i < argc; ++i) command_line += cat(i > 0 ? " " : "", shell_word(argv[i]));
  add_train(app, action, command_line, shell_program(argc > 0 ? argv[0] : ""));
  add_prepare(app, action);
  add_eval(app, action);
  add_generate(app, action);
  add_plan(app, action);
  add_compare(app, action, command_line);
  add_verify(app, action);
  add_config_commands(app, action);
  add_schema(app, action);
  add_doctor(app, action);
  if (argc > 1 && argv[1][0] != '-' && refuses_command(app, argv[1])) return static_cast<int>(ExitCode::kUsage);
  try {
    app.parse(checked_words(app, argc, argv));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0)  // --help, --version
      return static_cast<int>(run_action([&] { app.exit(error, std::cout, std::cerr); }));
    log::error(cat(printable(error.what(), std::string::npos), "; `sluice COMMAND --help` shows what a command takes"));
    return static_cast<int>(ExitCode::kUsage);
  }
  const ExitCode code = run_action(action);
  log::close_file();
  return static_cast<int>(code);
}

}  // namespace sluice::app
