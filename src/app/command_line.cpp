#include "app/command_line.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <exception>
#include <filesystem>
#include <functional>
#include <iostream>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "app/commands.h"
#include "base/error.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/signals.h"
#include "base/stop_notice.h"
#include "base/text_format.h"
#include "base/version.h"
#include "config/scalars.h"
#include "ops/torch_warnings.h"

namespace sluice::app {
namespace {

using Action = std::function<void()>;

// `--set a.b=c d.e=f`: takes what follows it; a first word without "=" is the configuration that came after the option.
void add_config(CLI::App& command, ConfigOptions& options) {
  command.add_option("CONFIG", options.config, "Configuration file (YAML)");
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
      ->take_all();
}

// CLI11's own checks print their limits with 300 digits.
CLI::Validator number_that(const char* name, const char* expected, bool (*holds)(double)) {
  return {[=](const std::string& word) {
            double value = 0;
            return CLI::detail::lexical_cast(word, value) && holds(value) ? "" : cat("received ", printable(word), "; expected ", expected);
          },
          name};
}

CLI::Validator positive() {
  return number_that("above 0", "a whole number above 0", [](double value) { return value > 0; });
}

CLI::Validator not_negative() {
  return number_that("0 or more", "0 or more", [](double value) { return value >= 0; });
}

// "1", "auto" or "1,2": digits only, so that 1.5, 1-2 and -1 are none.
CLI::Validator whole_number(const char* expected, std::uint64_t least, std::uint64_t most, const char* word) {
  return {[=](const std::string& text) {
            std::uint64_t value = 0;
            const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
            const bool is_number = error == std::errc() && end == text.data() + text.size() && value >= least && value <= most;
            return is_number || text == word ? "" : cat("received ", printable(text), "; expected ", expected);
          },
          "a whole number"};
}

void require_config(const ConfigOptions& options) {
  require(!options.config.empty(), ExitCode::kUsage, "CONFIG", "nothing", "a configuration file, such as configs/quickstart.yaml");
}

void add_train(CLI::App& app, Action& action, std::string command_line) {
  auto options = std::make_shared<TrainOptions>();
  options->command_line = std::move(command_line);
  auto resume = std::make_shared<bool>(false), fresh = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand("train", "Train a model; prepares the data first where needed");
  add_config(*command, options->config);
  CLI::Option* resume_flag =
      command->add_flag("--resume", *resume, "Go on from the newest valid checkpoint; starts a run where there is none");
  command->add_flag("--fresh", *fresh, "Start anew; an old run in the directory is renamed, never deleted")->excludes(resume_flag);
  command->add_option("--run-dir", options->run_dir, "Run directory, instead of the configuration's run.dir")->type_name("DIR");
  command->add_option("--dump-batches", options->dump_batches, "Also write the first batches to a safetensors file (inputs, targets)")
      ->type_name("FILE");
  command->add_option("--dump-steps", options->dump_steps, "How many steps' batches --dump-batches writes (default 50)")->check(positive());
  command->add_flag("--json", options->json, "Print the result as one JSON object on stdout");
  command->footer("Example:\n  sluice train configs/quickstart.yaml --set train.steps=100 model.ffn=geglu --run-dir runs/geglu");
  command->callback([=, &action] {
    action = [=] {
      require_config(options->config);
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
  command->add_option("RUN", options->run, "Run directory (its newest checkpoint) or a checkpoint directory")->required();
  command
      ->add_option("--data", options->data,
                   "Text files to score instead of the held-out set, read as the run's corpus.format unless --format is given")
      ->type_name("FILE");
  command
      ->add_option("--stride", options->stride,
                   "Tokens between the starts of windows; smaller than the sequence length gives each token more context")
      ->check(positive());
  command
      ->add_option("--max-tokens", options->max_tokens,
                   "Score at most this many tokens, evenly spread; with span corruption whole segments, at least one even where that has "
                   "more targets")
      ->check(positive());
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
  command->add_option("RUN", options->run, "Run directory (its newest checkpoint) or a checkpoint directory")->required();
  command->add_option("--prompt", options->prompt, "Text to continue; for an encoder-decoder, text with blanks written ___ to fill")
      ->required()
      ->type_name("TEXT");
  command->add_option("--tokens", options->num_tokens, "Most tokens to generate, for all blanks together")
      ->check(positive())
      ->capture_default_str();
  command->add_option("--temperature", options->temperature, "Divides the logits; 0 takes the likeliest token")
      ->check(not_negative())
      ->capture_default_str();
  command->add_option("--top-k", options->top_k, "Sample among the k likeliest tokens only; 0: all")
      ->check(not_negative())
      ->capture_default_str();
  command->add_option("--top-p", options->top_p, "Sample among the likeliest tokens that hold this probability")
      ->check(number_that("from 0 to 1", "a number above 0, at most 1", [](double value) { return value > 0 && value <= 1; }))
      ->capture_default_str();
  command->add_option("--seed", options->seed, "Seed of the sampling")->capture_default_str();
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
    require(command.get_option(name)->count() == 0, ExitCode::kUsage, "--report", cat(name, " beside it"),
            "directories only: the report says what lies there");
}

void add_compare(CLI::App& app, Action& action, std::string command_line) {
  auto options = std::make_shared<CompareOptions>();
  options->command_line = std::move(command_line);
  auto jobs = std::make_shared<std::string>("1");
  CLI::App* command =
      app.add_subcommand("compare", "Train variants under several seeds, each run in a process of its own, and report which differ");
  add_config(*command, options->config);
  command->add_option("--jobs", *jobs, "Runs side by side, which share the processors; auto: measures what finishes soonest (default 1)")
      ->type_name("N|auto")
      ->check(whole_number("a whole number from 1 to 1024, or auto", 1, 1024, "auto"));
  CLI::Option* dry_run =
      command->add_flag("--dry-run", options->dry_run, "Show the grid, its cost and the detectable difference; run nothing");
  command->add_flag("--measure", options->measure, "With --dry-run: time some steps of each variant")->needs(dry_run);
  command
      ->add_option(
          "--only", options->only,
          "Only these variants in this sitting; where several keys vary, one label such as \"1e-3, relu\" or one value each time; may "
          "be repeated")
      ->allow_extra_args(false)
      ->type_name("VARIANT,...");
  command->add_option("--seeds", options->seeds, "Only these seeds in this sitting; may be repeated")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(whole_number("whole numbers with commas between, such as 1,2", 0, std::numeric_limits<std::uint64_t>::max(), ""))
      ->type_name("N,...");
  command->add_option("--report", options->report, "Only write the report, from the runs in these directories (into the first)")
      ->type_name("DIR ...");
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
      options->jobs = *jobs == "auto" ? 0 : std::stoi(*jobs);
      tell_of_ignored_stops();
      compare_command(*options);
    };
  });
}

void add_verify(CLI::App& app, Action& action) {
  auto options = std::make_shared<VerifyOptions>();
  CLI::App* command =
      app.add_subcommand("verify", "Check every file of a run and of its prepared data by hash or against each other, or one checkpoint");
  command->add_option("RUN", options->run, "Run directory or checkpoint directory")->required();
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

void add_doctor(CLI::App& app, Action& action) {
  auto options = std::make_shared<DoctorOptions>();
  CLI::App* command = app.add_subcommand("doctor", "Versions, processor, memory, GPU, and what they mean for speed");
  command->add_flag("--json", options->json, "Print the result as one JSON object on stdout");
  command->footer("Example:\n  sluice doctor");
  command->callback([=, &action] { action = [=] { doctor_command(*options); }; });
}

ExitCode no_memory() {
  log::error(cat("memory: this model and batch need more than the ", human_bytes(machine().memory_bytes),
                 " there are; needs a smaller model, train.micro_batch_sequences or vocabulary (see `sluice plan`)"));
  return ExitCode::kUsage;
}

// Runs `action` and turns what it throws into one message and an exit code.
ExitCode guarded(const Action& action) {
  try {
    action();
    std::cout.flush();
    require(std::cout.good(), ExitCode::kIo, "stdout", "a write that failed", "a place with room for the result");
    return ExitCode::kOk;
  } catch (const UserError& error) {
    log::end_progress();
    if (error.code() == ExitCode::kInterrupted) {
      log::warn(error.what());
    } else {
      log::error(error.what());
    }
    return error.code();
  } catch (const std::bad_alloc&) {
    return no_memory();
  } catch (const std::filesystem::filesystem_error& error) {
    log::end_progress();
    log::error(cat(printable(error.path1().string(), 400), ": ", error.code().message(), "; needs a path that can be reached and read"));
    return error.code() == std::errc::io_error || error.code() == std::errc::no_space_on_device ? ExitCode::kIo : ExitCode::kMissingInput;
  } catch (const std::exception& error) {
    const std::string what = error.what();
    if (what.find("not enough memory") != std::string::npos || what.find("alloc_cpu.cpp") != std::string::npos)
      return no_memory();  // LibTorch's own error
    log::error(cat("internal error, please report it with the command and the configuration: ", what.substr(0, what.find('\n'))));
    return ExitCode::kInternal;
  }
}

// As a shell reads it back.
std::string shell_word(std::string_view word) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./-_";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string_view::npos) return std::string(word);
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

// CLI11 would say that a command is missing.
bool refuses_command(const CLI::App& app, const std::string& word) {
  std::vector<std::string> commands;
  for (const CLI::App* command : app.get_subcommands({})) commands.push_back(command->get_name());
  if (std::find(commands.begin(), commands.end(), word) != commands.end()) return false;
  const std::string_view near = config::nearest(word, std::vector<std::string_view>(commands.begin(), commands.end()));
  std::string all;
  for (const std::string& command : commands) all += cat(all.empty() ? "" : ", ", command);
  log::error(cat("`", printable(word), "` is no command; expected one of ", all, near.empty() ? "" : cat(" (did you mean `", near, "`?)")));
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
      "Example:\n  sluice train configs/quickstart.yaml\n"
      "Ctrl-C (SIGINT), SIGTERM, SIGHUP and SIGUSR1 stop a command after its current step, with what it\n"
      "has saved and exit code 75; again, 1 s later or more, they stop it at once.\n"
      "Exit codes and signals: docs/exit-codes.md");
  std::string command_line;
  for (int i = 0; i < argc; ++i) command_line += cat(i > 0 ? " " : "", shell_word(argv[i]));
  add_train(app, action, command_line);
  add_prepare(app, action);
  add_eval(app, action);
  add_generate(app, action);
  add_plan(app, action);
  add_compare(app, action, command_line);
  add_verify(app, action);
  add_config_commands(app, action);
  add_doctor(app, action);
  if (argc > 1 && argv[1][0] != '-' && refuses_command(app, argv[1])) return static_cast<int>(ExitCode::kUsage);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error, std::cout, std::cerr);  // --help, --version
    log::error(cat(error.what(), "; `sluice COMMAND --help` shows what a command takes"));
    return static_cast<int>(ExitCode::kUsage);
  }
  install_signal_handlers();
  const ExitCode code = guarded(action);
  log::close_file();
  return static_cast<int>(code);
}

}  // namespace sluice::app
