// Base64 (RFC 4648, section 4), in which tokenizer.json contains normalization tables.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sluice::text {

std::string base64(std::string_view bytes);
// nullopt unless `text` is padded base64 without line breaks.
std::optional<std::string> base64_bytes(std::string_view text);

}  // namespace sluice::text
