// The member `pattern` of a component in tokenizer.json: {"String": text} or {"Regex": expression}.
#pragma once

#include "text/json_field.h"
#include "text/regex.h"

namespace sluice::text {

Regex pattern_regex(const JsonField& pattern);  // kBadData if it is invalid

}  // namespace sluice::text
