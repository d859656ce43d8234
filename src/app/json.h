// Small pieces of the commands' JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>

namespace sluice::app {

template <class T>
nlohmann::ordered_json or_null(const std::optional<T>& value) {
  return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json();
}

}  // namespace sluice::app
