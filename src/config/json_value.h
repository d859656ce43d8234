// Described values as JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "config/describe.h"

namespace sluice::config {

// Numbers that are not finite are null. Sizes and durations keep their unit: `64MiB` says more than 67108864.
nlohmann::ordered_json json_value(const Type& type, const void* value);
nlohmann::ordered_json json_value(const Section& section, const void* value);

}  // namespace sluice::config
