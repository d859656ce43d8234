// The log-probability of each token of given texts.
//
// Both kinds are defined as in EleutherAI's lm-evaluation-harness 0.4.13. A text or a context
// follows the start token, or else the end token, if the tokenizer has one.
//
// A text (`loglikelihood_rolling`) is read in windows of at most context_length tokens; the first
// token of a window is the last one of the window before, and every token is scored once. The last
// window reads as many tokens as the others and scores only those that are left. With `eval` and
// its default stride (docs/metrics.md) the last window is shorter, so the sums are equal only if
// the windows divide the tokens evenly.
//
// A continuation (`loglikelihood`) is scored after its context: whitespace at the end of the
// context is moved to the continuation, and context and continuation are encoded together; the
// tokens of the continuation are those after the first n, n being the number of tokens of the
// context alone. The model reads at most the last context_length tokens.
//
// An encoder-decoder scores continuations only: the encoder reads the context and an end token, and
// the decoder the continuation, which gets no end token. Both may have blanks (eval/fill.h), so the
// continuation of "You may <extra_id_0> copies." is "<extra_id_0> reproduce".
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/span_rules.h"
#include "eval/generate.h"
#include "model/language_model.h"
#include "text/tokenizer.h"

namespace sluice::eval {

struct ScoreRequest {
  std::optional<std::string> context;  // nullopt: `text` is a whole text
  std::string text;                    // the text or the continuation
  Origin origin = {"text"};
};

struct Score {
  std::vector<std::int32_t> tokens;       // those scored
  std::vector<double> log_probabilities;  // of each, in nats
  double sum = 0;
  std::size_t num_bytes = 0;  // of the scored text, with whitespace moved from the context
  // each token is the most likely one (ties: the lowest id), so that greedy decoding yields them
  bool is_greedy = true;
};

struct ScoreSettings {
  std::int64_t context_length = 256;  // maximum number of tokens that the model reads
  std::int64_t batch = 8;             // sequences computed together; does not change the scores
  std::optional<data::SpanRules> blanks = {};  // for an encoder-decoder
};

// `on_done` receives the scores in the order of the requests. Errors: text that is not UTF-8 or has
// no tokens to score; a continuation longer than context_length; for an encoder-decoder, a whole
// text or blanks out of order. Polls base/signals.h and throws kInterrupted.
void score_all(const model::LanguageModel& model, const text::Tokenizer& tokenizer,
               std::span<const ScoreRequest> requests, const ScoreSettings& settings,
               const std::function<void(std::size_t, const Score&)>& on_done);

}  // namespace sluice::eval
