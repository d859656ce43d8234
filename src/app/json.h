// Small pieces of the commands' JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace sluice::app {

template <class T>
nlohmann::ordered_json or_null(const std::optional<T>& value) {
  return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json();
}

// On one line. Paths and the words of a user need not be UTF-8, JSON must be: what is not becomes U+FFFD.
inline std::string text_of(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace sluice::app
