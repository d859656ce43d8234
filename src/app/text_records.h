// The JSON lines that `generate` and `score` read, and what they write.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "app/outputs.h"

namespace sluice::app {

constexpr config::RecordFormat input(std::string_view name, std::string_view option,
                                     std::string_view summary) {
  return {.name = name,
          .place = option,
          .summary = summary,
          .expected = "a line as described in docs/formats.md",
          .indent = -1};
}

struct GenerateInput {
  static constexpr auto record =
      input("generate-input", "`sluice generate --input FILE`", "One prompt per line.");
  std::string prompt;
  std::optional<std::uint64_t> seed;

  static constexpr auto fields() {
    using config::field;
    using I = GenerateInput;
    return std::tuple{field<&I::prompt>("Text to continue, or text with blanks."),
                      field<&I::seed>("Sampling seed; default: --seed.", config::MayBeMissing{})};
  }
};

struct GenerateOutput {
  static constexpr auto record =
      output("generate", "`sluice generate --json`, and each line of --output",
             "A prompt and the generated text.");
  std::string prompt, text;
  std::optional<std::vector<std::string>> spans;
  std::vector<std::int64_t> tokens;
  std::vector<double> log_probabilities;
  std::string stop;
  bool interrupted = false;
  std::int64_t step = 0;

  static constexpr auto fields() {
    using config::field;
    using O = GenerateOutput;
    return std::tuple{
        field<&O::prompt>("The prompt."),
        field<&O::text>(
            "The continuation; for a model that fills blanks, the prompt with its blanks filled."),
        field<&O::spans>("The text of each blank.", config::MayBeMissing{}),
        field<&O::tokens>("Ids of the generated tokens, without the end token."),
        field<&O::log_probabilities>(
            "Log-probability of each of these tokens in nats, by the model's softmax without "
            "penalty, temperature and filters."),
        field<&O::stop>("Why generation ended: eos, length, stop_string or interrupted."),
        field<&O::interrupted>("Whether a signal truncated the text."),
        field<&O::step>("Step of the checkpoint.")};
  }
};

struct ScoreInput {
  static constexpr auto record = input("score-input", "`sluice score --input FILE`",
                                       "A text, or a context and its continuation, per line.");
  std::optional<std::string> text, context, continuation;

  static constexpr auto fields() {
    using config::field;
    using I = ScoreInput;
    return std::tuple{
        field<&I::text>("Text to score.", config::MayBeMissing{}),
        field<&I::context>("Text before the continuation; not scored.", config::MayBeMissing{}),
        field<&I::continuation>("Text to score after the context.", config::MayBeMissing{})};
  }
};

struct ScoreOutput {
  static constexpr auto record = output("score", "`sluice score --json`, and each line of --output",
                                        "Log-probabilities of a text or of a continuation.");
  double log_probability = 0, log_perplexity = 0;
  double bits_per_byte = 0;
  bool is_greedy = true;
  std::uint64_t num_tokens = 0, num_bytes = 0;
  std::vector<std::int64_t> tokens;
  std::vector<double> log_probabilities;
  std::int64_t step = 0;

  static constexpr auto fields() {
    using config::field;
    using O = ScoreOutput;
    return std::tuple{
        field<&O::log_probability>("Sum over the scored tokens in nats."),
        field<&O::log_perplexity>("−log_probability / num_tokens."),
        field<&O::bits_per_byte>("−log_probability / (ln 2 · num_bytes)."),
        field<&O::is_greedy>("Whether each scored token is the most likely one."),
        field<&O::num_tokens>("Number of scored tokens."),
        field<&O::num_bytes>(
            "UTF-8 bytes of the text or the continuation, with whitespace moved to it."),
        field<&O::tokens>("Ids of the scored tokens."),
        field<&O::log_probabilities>("Log-probability of each of these tokens in nats."),
        field<&O::step>("Step of the checkpoint.")};
  }
};

}  // namespace sluice::app
