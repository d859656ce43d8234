// Pieces of this folder's JSON files. Reading throws nlohmann's exceptions.
#pragma once

#include <nlohmann/json.hpp>

#include "compare/run_maker.h"

namespace sluice::compare {

inline nlohmann::ordered_json to_json(const report::Settings& settings) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const auto& [key, value] : settings) json[key] = value;
  return json;
}

inline report::Settings settings_from(const nlohmann::ordered_json& json) {
  report::Settings settings;
  for (const auto& [key, value] : json.items()) settings.emplace_back(key, value.get<std::string>());
  return settings;
}

inline nlohmann::ordered_json to_json(const Maker& maker) {
  return {{"cpu", maker.cpu},
          {"threads", maker.threads},
          {"device", maker.device},
          {"precision", maker.precision},
          {"micro_batch_sequences", maker.micro_batch_sequences}};
}

inline Maker maker_from(const nlohmann::ordered_json& json) {
  return {.cpu = json.at("cpu").get<std::string>(),
          .device = json.at("device").get<std::string>(),
          .precision = json.at("precision").get<std::string>(),
          .threads = json.at("threads").get<std::int64_t>(),
          .micro_batch_sequences = json.value("micro_batch_sequences", std::int64_t{0})};  // 0: of before it was written down
}

}  // namespace sluice::compare
