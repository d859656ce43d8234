// Filling blanks with an encoder-decoder that was trained by span corruption.
//
// Each run of three or more underscores in the prompt is a blank. The encoder reads the text with the i-th blank replaced by the i-th
// sentinel and the end token behind, as in training (data/span_corruption.h); the decoder writes sentinel₁ span₁ sentinel₂ span₂ … end.
// The frame is given, so that every blank gets a span: the first sentinel is written for it, after a span only the next sentinel may come,
// and the end token only after the last. A blank's own leading space is the model's to write, since tokens begin with their space.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "data/span_corruption.h"
#include "eval/generate.h"

namespace sluice::eval {

struct Filled {
  std::string text;                // the prompt with its blanks filled, as valid UTF-8
  std::vector<std::string> spans;  // what stands for each blank; empty where config.num_tokens did not reach it
  bool interrupted = false;        // a stop signal (base/signals.h) cut the spans
  bool ended = false;              // every blank has its span; else num_tokens cut them
};

// `config.num_tokens` bounds what the decoder writes, sentinels included. kUsage for a prompt without a blank, with more blanks than there are
// sentinels, or that is not UTF-8.
Filled fill_blanks(const model::LanguageModel& model, const text::Tokenizer& tokenizer, const data::SpanRules& rules,
                   std::string_view prompt, const SamplingConfig& config);

}  // namespace sluice::eval
