#include <iomanip>
#include <iostream>
#include <numbers>

#include "app/commands.h"
#include "app/json_lines.h"
#include "app/output_file.h"
#include "app/run_argument.h"
#include "app/text_records.h"
#include "base/error.h"
#include "base/text_format.h"
#include "eval/score.h"
#include "run/open_checkpoint.h"

namespace sluice::app {
namespace {

eval::ScoreRequest request_of(const JsonLine& line) {
  auto read = config::from_json<ScoreInput>(line.text, line.origin);
  const bool is_pair = read.context.has_value() && read.continuation.has_value();
  require(
      read.text.has_value() != is_pair && read.context.has_value() == read.continuation.has_value(),
      ExitCode::kBadData, line.origin,
      "wrong keys; expected either `text`, or `context` and `continuation`");
  if (is_pair) return {read.context, *read.continuation, {line.origin, ExitCode::kBadData}};
  return {std::nullopt, *read.text, {line.origin, ExitCode::kBadData}};
}

std::vector<eval::ScoreRequest> requests_of(const ScoreOptions& options) {
  if (options.input.empty()) return {{options.context, *options.text, {"--text"}}};
  std::vector<eval::ScoreRequest> requests;
  for (const JsonLine& line : read_json_lines(options.input)) requests.push_back(request_of(line));
  return requests;
}

ScoreOutput output_of(const eval::Score& score, std::int64_t step) {
  const auto num_tokens = static_cast<double>(score.tokens.size()),
             num_bytes = static_cast<double>(score.num_bytes);
  return {.log_probability = score.sum,
          .log_perplexity = -score.sum / num_tokens,
          .bits_per_byte = -score.sum / (std::numbers::ln2 * num_bytes),
          .is_greedy = score.is_greedy,
          .num_tokens = score.tokens.size(),
          .num_bytes = score.num_bytes,
          .tokens = {score.tokens.begin(), score.tokens.end()},
          .log_probabilities = score.log_probabilities,
          .step = step};
}

// The text of a token, as far as one token has a text; of a sentinel, its mark.
std::string text_of(std::int32_t id, const text::Tokenizer& tokenizer,
                    const std::optional<data::SpanRules>& blanks) {
  if (blanks && id >= blanks->num_pieces) return cat("<extra_id_", blanks->sentinel(0) - id, ">");
  return printable(tokenizer.decode(std::span(&id, 1)));
}

// One line per token: its log-probability and its text.
void print(const ScoreOutput& output, const text::Tokenizer& tokenizer,
           const std::optional<data::SpanRules>& blanks) {
  std::cout << "log-probability  token\n";
  for (std::size_t i = 0; i < output.tokens.size(); ++i) {
    const auto id = static_cast<std::int32_t>(output.tokens[i]);
    std::cout << std::setw(15) << fixed(output.log_probabilities[i], 4) << "  "
              << text_of(id, tokenizer, blanks) << "\n";
  }
  std::cout << "log_probability  " << fixed(output.log_probability, 4) << " nats, "
            << with_commas(static_cast<std::int64_t>(output.num_tokens)) << " tokens\n"
            << "log_perplexity   " << fixed(output.log_perplexity, 4) << " nats per token\n"
            << "bits_per_byte    " << fixed(output.bits_per_byte, 4) << "\n"
            << "is_greedy        " << (output.is_greedy ? "true" : "false") << "\n";
}

}  // namespace

void score_command(const ScoreOptions& options) {
  require(options.input.empty() || (!options.text && !options.context), ExitCode::kUsage, "--input",
          "cannot be combined with --text and --context");
  require(options.output.empty() || !options.input.empty(), ExitCode::kUsage, "--output",
          "requires --input");
  check_output_file("--output", options.output, options.input);
  const std::vector<eval::ScoreRequest> requests = requests_of(options);
  check_run_argument(options.run);
  const run::OpenedCheckpoint opened = open_run_argument(options.run, options.allow_older);
  const bool writes_json = options.json || !options.input.empty();
  const auto blanks = opened.run.objective->blanks(*opened.tokenizer);
  JsonLineWriter out(options.output);
  eval::score_all(*opened.model, *opened.tokenizer, requests,
                  {.context_length = opened.run.objective->segment_length(),
                   .batch = options.batch,
                   .blanks = blanks},
                  [&](std::size_t, const eval::Score& score) {
                    const ScoreOutput output = output_of(score, opened.state.progress.step);
                    if (writes_json) {
                      out.write(config::to_json(output));
                    } else {
                      print(output, *opened.tokenizer, blanks);
                    }
                  });
  out.close();
}

}  // namespace sluice::app
