// Converts described values to JSON.
#pragma once

#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "config/describe.h"

namespace sluice::config {

// Additional keys of a record (RecordFormat::version, RecordFormat::seal).
inline constexpr std::string_view kFormatKey = "format", kSealKey = "seal_xxh3_128";

// Non-finite numbers become null. Sizes and durations keep their unit for readability: `64MiB`, not
// 67108864.
nlohmann::ordered_json json_value(const Type& type, const void* value);
nlohmann::ordered_json json_value(const Section& section, const void* value);

}  // namespace sluice::config
