#include "app/add_generate.h"

#include <memory>

#include "app/commands.h"
#include "app/options.h"
#include "app/path_option.h"
#include "base/text_format.h"

namespace sluice::app {
namespace {

void add_file(CLI::App& command, const char* name, std::string& path, const char* description) {
  command.add_option(name, path, description)
      ->type_name("FILE")
      ->transform(home_path())
      ->check(not_empty("a file name"));
}

// An option whose value may be empty text.
void add_text(CLI::App& command, const char* name, std::optional<std::string>& text,
              const char* description) {
  command
      .add_option_function<std::string>(
          name, [&text](const std::string& value) { text = value; }, description)
      ->type_name("TEXT");
}

void add_sampling(CLI::App& command, GenerateOptions& options) {
  const GenerateOptions defaults;
  add_value(command, "--tokens", options.num_tokens, kPositive,
            "Maximum number of generated tokens, over all blanks")
      ->default_str(cat(defaults.num_tokens));
  add_value(command, "--temperature", options.temperature, kNotNegative,
            "Divides the logits; 0 takes the most likely token")
      ->default_str(cat(defaults.temperature));
  add_value(command, "--top-k", options.top_k, kNotNegative,
            "Sample from the k most likely tokens; 0 samples from all")
      ->default_str(cat(defaults.top_k));
  add_value(command, "--top-p", options.top_p, {.low = 0, .high = 1, .low_open = true},
            "Sample from the smallest set of most likely tokens with at least this probability")
      ->default_str(cat(defaults.top_p));
  add_value(command, "--min-p", options.min_p, {.low = 0, .high = 1},
            "Sample from tokens with at least this share of the highest probability")
      ->default_str(cat(defaults.min_p));
  add_value(command, "--repetition-penalty", options.repetition_penalty, kPositive,
            "Divides positive and multiplies negative logits of tokens that occurred; 1 is none")
      ->default_str(cat(defaults.repetition_penalty));
  command
      .add_option("--stop", options.stop,
                  "End before this text, which is not printed. Repeat the option for more")
      ->allow_extra_args(false)
      ->type_name("TEXT")
      ->check(not_empty("a text that ends the output"));
  add_value(command, "--seed", options.seed, {}, "Sampling seed")->default_str(cat(defaults.seed));
}

}  // namespace

void add_generate(CLI::App& app, Action& action) {
  auto options = std::make_shared<GenerateOptions>();
  CLI::App* command = app.add_subcommand(
      "generate", "Sample text from a trained model: continue a prompt or fill its blanks");
  add_run(*command, options->run);
  add_text(*command, "--prompt", options->prompt,
           "Text to continue; for an encoder-decoder, text whose blanks, ___ or <extra_id_0>, "
           "<extra_id_1>, ..., are filled");
  add_file(*command, "--input", options->input,
           "File with one JSON object {\"prompt\": \"...\"} per line instead of --prompt; prints "
           "one JSON object per line");
  add_file(*command, "--output", options->output,
           "With --input: write the JSON lines to this file instead of stdout");
  add_value(*command, "--batch", options->batch, {.low = 1, .high = 4096},
            "With --input: prompts generated together; does not change the texts")
      ->default_str(cat(GenerateOptions{}.batch));
  add_sampling(*command, *options);
  command->add_flag("--json", options->json, "Print the result as one JSON object on stdout");
  add_allow_older(*command, options->allow_older);
  command->footer(
      "Example:\n  sluice generate runs/quickstart --prompt \"In the beginning\" --tokens 100 "
      "--temperature 0.8 --top-k 40");
  command->callback([=, &action] {
    if (!options->prompt && options->input.empty()) throw CLI::RequiredError("--prompt");
    action = [=] { generate_command(*options); };
  });
}

void add_score(CLI::App& app, Action& action) {
  auto options = std::make_shared<ScoreOptions>();
  CLI::App* command =
      app.add_subcommand("score", "Compute the log-probability of each token of a text");
  add_run(*command, options->run);
  add_text(*command, "--text", options->text, "Text to score");
  add_text(*command, "--context", options->context,
           "Text before --text that is read but not scored; for an encoder-decoder, the text with "
           "blanks that --text fills: \"You may <extra_id_0> copies.\"");
  add_file(*command, "--input", options->input,
           "File with one JSON object per line instead of --text: {\"text\": \"...\"} or "
           "{\"context\": \"...\", \"continuation\": \"...\"}; prints one JSON object per line");
  add_file(*command, "--output", options->output,
           "With --input: write the JSON lines to this file instead of stdout");
  add_value(*command, "--batch", options->batch, {.low = 1, .high = 4096},
            "Texts scored together; does not change the scores")
      ->default_str(cat(ScoreOptions{}.batch));
  command->add_flag("--json", options->json, "Print the result as one JSON object on stdout");
  add_allow_older(*command, options->allow_older);
  command->footer(
      "Example:\n  sluice score runs/quickstart --context \"In the beginning God\" --text "
      "\" created the heaven\"");
  command->callback([=, &action] {
    if (!options->text && options->input.empty()) throw CLI::RequiredError("--text");
    action = [=] { score_command(*options); };
  });
}

}  // namespace sluice::app
