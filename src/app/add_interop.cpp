#include "app/add_interop.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "app/commands.h"
#include "app/options.h"
#include "app/path_option.h"
#include "base/stop_notice.h"

namespace sluice::app {

void add_export(CLI::App& app, Action& action) {
  auto options = std::make_shared<ExportOptions>();
  auto step = std::make_shared<std::int64_t>(0);
  CLI::App* command =
      app.add_subcommand("export", "Write a trained model or its metrics for another program");
  add_run(*command, options->run);
  command
      ->add_option(
          "--to", options->to,
          "hf: Hugging Face transformers; gguf: llama.cpp; tensorboard: an event file with "
          "the metrics")
      ->required()
      ->type_name("hf|gguf|tensorboard")
      ->check(not_empty("hf, gguf or tensorboard"));
  command
      ->add_option("--out", options->out,
                   "hf: directory to write, new or empty; gguf: file to write, new; tensorboard: "
                   "directory of the new file")
      ->required()
      ->type_name("PATH")
      ->transform(home_path())
      ->check(not_empty("a path"));
  CLI::Option* checkpoint = add_value(*command, "--checkpoint", *step, kNotNegative,
                                      "Step of the checkpoint (default: the newest)")
                                ->type_name("STEP");
  command->add_flag("--json", options->json, "Print the result as one JSON object on stdout");
  command->footer(
      "See docs/interoperability.md.\n"
      "Example:\n  sluice export runs/quickstart --to hf --out runs/quickstart-hf");
  command->callback([=, &action] {
    action = [=] {
      if (checkpoint->count() > 0) options->step = *step;
      log_ignored_stops();
      export_command(*options);
    };
  });
}

void add_import(CLI::App& app, Action& action, std::string command_line, std::string program) {
  auto options = std::make_shared<ImportOptions>();
  options->command_line = std::move(command_line);
  options->program = std::move(program);
  CLI::App* command =
      app.add_subcommand("import", "Make a run of a model of Hugging Face transformers");
  command
      ->add_option("MODEL", options->paths,
                   "Model directory, or its files: config.json, *.safetensors or its index, and "
                   "the tokenizer")
      ->required()
      ->transform(home_path())
      ->check(not_empty("a directory or file"));
  command->add_option("--out", options->out, "Run directory to write, new or empty")
      ->required()
      ->type_name("RUN")
      ->transform(home_path())
      ->check(not_empty("a directory"));
  CLI::Option* config =
      command
          ->add_option("--config", options->config,
                       "Configuration (YAML) for further training; its sections model and "
                       "tokenizer are replaced")
          ->type_name("CONFIG")
          ->transform(home_path())
          ->check(not_empty("a configuration file"));
  command
      ->add_option("--set", options->overrides, "Override fields of --config, e.g. train.steps=9")
      ->type_name("KEY=VALUE ...")
      ->needs(config);
  command->add_flag("--json", options->json, "Print the result as one JSON object on stdout");
  command->footer(
      "With --config, `sluice train --resume RUN` trains the model further. See\n"
      "docs/interoperability.md.\n"
      "Example:\n  sluice import SmolLM-135M --out runs/smollm --config my.yaml");
  command->callback([=, &action] {
    action = [=] {
      log_ignored_stops();
      import_command(*options);
    };
  });
}

}  // namespace sluice::app
