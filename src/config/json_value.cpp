#include "config/json_value.h"

#include <cmath>
#include <nlohmann/json.hpp>

namespace sluice::config {
namespace {

using Json = nlohmann::ordered_json;

Json value_of(const Scalar* scalar, const void* value) {
  const ScalarInfo info = scalar->info();
  const auto number = scalar->number(value);
  if (number && !std::isfinite(*number)) return {};
  const std::string text = scalar->write(value);
  const bool has_unit = !info.pattern.empty() && (text.back() < '0' || text.back() > '9');
  if (info.json_type.empty() || info.json_type == "string" || has_unit) return text;
  if (info.json_type == "number") return static_cast<double>(*number);
  return Json::parse(text);
}
Json value_of(const Maybe* maybe, const void* value) {
  const void* inner = maybe->get(value);
  if (inner != nullptr) return json_value(maybe->inner, inner);
  return maybe->word.empty() ? Json() : Json(maybe->word);
}
Json value_of(const List* list, const void* value) {
  Json items = Json::array();
  for (std::size_t i = 0; i < list->size(value); ++i)
    items.push_back(json_value(list->item, list->at(value, i)));
  return items;
}
Json value_of(const Map* map, const void* value) {
  Json object = Json::object();
  for (std::size_t i = 0; i < map->size(value); ++i)
    object[std::string(map->key(value, i))] = json_value(map->value, map->at(value, i));
  return object;
}
Json value_of(const Section* section, const void* value) { return json_value(*section, value); }
Json value_of(const Choice* choice, const void* value) {
  const Section* kind = choice->kinds[choice->index(value)];
  Json object = {{"type", kind->kind}};
  object.update(json_value(*kind, choice->get(value)));
  return object;
}

// Whether a member is omitted from the text: an optional key without a value.
bool is_omitted(const Row& row, const void* value) {
  const auto* maybe = std::get_if<const Maybe*>(&row.type);
  return row.may_be_missing && maybe != nullptr && (*maybe)->get(value) == nullptr;
}

}  // namespace

Json json_value(const Type& type, const void* value) {
  return std::visit([&](const auto* shape) { return value_of(shape, value); }, type);
}

Json json_value(const Section& section, const void* value) {
  Json json = section.as_list ? Json::array() : Json::object();
  for (const Row& row : section.rows) {
    const void* member = row.get(value);
    if (is_omitted(row, member)) continue;
    Json one = json_value(row.type, member);
    if (section.as_list) {
      json.push_back(std::move(one));
    } else if (row.rest) {
      json.update(one);
    } else {
      json[std::string(row.name)] = std::move(one);
    }
  }
  return json;
}

}  // namespace sluice::config
