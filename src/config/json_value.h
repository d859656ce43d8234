// Described values as JSON.
#pragma once

#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "config/describe.h"

namespace sluice::config {

// Members that a record has beside its own (RecordFormat::version, RecordFormat::seal).
inline constexpr std::string_view kFormatKey = "format", kSealKey = "seal_xxh3_128";

// Numbers that are not finite are null. Sizes and durations keep their unit: `64MiB` says more than 67108864.
nlohmann::ordered_json json_value(const Type& type, const void* value);
nlohmann::ordered_json json_value(const Section& section, const void* value);

}  // namespace sluice::config
