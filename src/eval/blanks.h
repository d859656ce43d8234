// Texts with blanks for the sentinels of span corruption. Internal to eval.
#pragma once

#include <cstdint>
#include <vector>

#include "data/span_rules.h"
#include "eval/generate.h"
#include "text/tokenizer.h"

namespace sluice::eval {

// Ids of the text around the blanks: one more part than there are blanks. fill.h says what a blank
// is. The space before a blank belongs to the span and is dropped. Errors as `prompt.origin`: not
// UTF-8, more blanks than sentinels, or a mark <extra_id_N> out of order.
std::vector<std::vector<std::int32_t>> encode_around_blanks(const text::Tokenizer& tokenizer,
                                                            const data::SpanRules& rules,
                                                            const Prompt& prompt);

// The parts with sentinel i between part i and the next.
std::vector<std::int32_t> joined_by_sentinels(const std::vector<std::vector<std::int32_t>>& parts,
                                              const data::SpanRules& rules);

}  // namespace sluice::eval
