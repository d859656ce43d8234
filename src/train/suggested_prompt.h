// A prompt to try a trained model with, for the last line of `train`.
#pragma once

#include <string>

#include "data/token_stream.h"
#include "text/tokenizer.h"

namespace sluice::train {

// The first few words of the first held-out document that has some, at most 40 characters, all printable; with `fills_blanks` one of them is
// a blank ___. A neutral text where nothing is held out. The same run gives the same prompt.
std::string suggested_prompt(const data::TokenStream& held_out, const text::Tokenizer& tokenizer, bool fills_blanks);

}  // namespace sluice::train
