// Fills blanks with an encoder-decoder trained by span corruption.
//
// A run of three or more underscores in the prompt is a blank, and so is <extra_id_N>, the name of
// T5's sentinel N, if it is blank number N, counted from 0. The encoder reads the text with the
// i-th blank replaced by the i-th sentinel and the end token appended, as in training
// (data/span_corruption.h); the decoder generates sentinel₁ span₁ sentinel₂ span₂ … end. Decoding
// is constrained so that every blank gets a span: the first sentinel is given, only the next
// sentinel may end a span, and the end token is allowed only in the last span. The space before a
// blank is dropped from the input because the model generates it: tokens begin with their space.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "data/span_corruption.h"
#include "eval/generate.h"

namespace sluice::eval {

struct Filled {
  std::string text;  // the prompt with its blanks filled, as valid UTF-8
  // one per blank; empty if config.num_tokens was reached before it
  std::vector<std::string> spans;
  bool interrupted = false;  // truncated by a stop signal (base/signals.h)
  bool ended = false;        // every blank has its span; otherwise truncated
  // of the decoder, after the first sentinel and without the end token
  std::vector<std::int32_t> tokens;
  std::vector<double> log_probabilities;  // see Generated
};

// `config.num_tokens` limits the decoder's output, sentinels included. kUsage for a prompt that is
// not UTF-8, has no blank, more blanks than there are sentinels or a mark <extra_id_N> out of
// order, and for stop strings.
Filled fill_blanks(const model::LanguageModel& model, const text::Tokenizer& tokenizer,
                   const data::SpanRules& rules, std::string_view prompt,
                   const SamplingConfig& config);
// Throws what fill_blanks() throws for the prompt.
void check_blanks(const text::Tokenizer& tokenizer, const data::SpanRules& rules,
                  const Prompt& prompt);
// Several prompts, as generate_all() (eval/generate.h).
void fill_all(const model::LanguageModel& model, const text::Tokenizer& tokenizer,
              const data::SpanRules& rules, const Prompts& prompts, const SamplingConfig& config,
              const std::function<void(std::size_t, const Filled&)>& on_done);

}  // namespace sluice::eval
