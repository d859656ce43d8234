// Dotted paths of fields.
#pragma once

#include <string>
#include <string_view>

#include "base/text_format.h"

namespace sluice::config {

// "a.b"; `name` alone if `path` is empty (the root).
inline std::string dotted(std::string_view path, std::string_view name) {
  return path.empty() ? std::string(name) : cat(path, '.', name);
}

}  // namespace sluice::config
