// One string member out of a line of JSON.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sluice::text {

// The value of the member `field` of the object in `line`; the last one where it is there twice. Nothing where the line is no
// JSON object (lone surrogates in \u escapes and nesting deeper than 100 included), or the member is missing or no string.
std::optional<std::string> json_text(std::string_view line, std::string_view field);

}  // namespace sluice::text
