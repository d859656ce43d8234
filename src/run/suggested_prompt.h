// An example prompt for the trained model, printed by `train`.
#pragma once

#include <string>

#include "data/token_stream.h"
#include "text/tokenizer.h"

namespace sluice::run {

// The first few words of the first suitable held-out document, at most 40 characters, all
// printable; with `fills_blanks` one of them is a blank ___. A neutral text without held-out text.
// Deterministic.
std::string suggested_prompt(const data::TokenStream& held_out, const text::Tokenizer& tokenizer,
                             bool fills_blanks);

}  // namespace sluice::run
