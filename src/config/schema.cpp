#include <nlohmann/json.hpp>

#include "base/text_format.h"
#include "config/config.h"
#include "config/write.h"

namespace sluice::config {
namespace {

using Json = nlohmann::ordered_json;

// ---- a value as JSON, for `default` ----
Json value_of(const Type& type, const void* value);

Json json_value(const Scalar* scalar, const void* value) {
  const ScalarInfo info = scalar->info();
  const std::string text = scalar->write(value);
  // Sizes and durations keep their unit: `64MiB` says more than 67108864.
  const bool has_unit = !info.pattern.empty() && (text.back() < '0' || text.back() > '9');
  if (info.json_type.empty() || info.json_type == "string" || has_unit) return text;
  return Json::parse(text);
}
Json json_value(const Maybe* maybe, const void* value) {
  const void* inner = maybe->get(value);
  if (inner != nullptr) return value_of(maybe->inner, inner);
  return maybe->word.empty() ? Json() : Json(maybe->word);
}
Json json_value(const List* list, const void* value) {
  Json items = Json::array();
  for (std::size_t i = 0; i < list->size(value); ++i) items.push_back(value_of(list->item, list->at(value, i)));
  return items;
}
Json json_value(const Map* map, const void* value) {
  Json object = Json::object();
  for (std::size_t i = 0; i < map->size(value); ++i) object[std::string(map->key(value, i))] = value_of(map->value, map->at(value, i));
  return object;
}
Json json_value(const Section* section, const void* value) {
  Json object = Json::object();
  for (const Row& row : section->rows) {
    const Json one = value_of(row.type, row.get(value));
    if (row.rest) {
      object.update(one);
    } else {
      object[std::string(row.name)] = one;
    }
  }
  return object;
}
Json json_value(const Choice* choice, const void* value) {
  const Section* kind = choice->kinds[choice->index(value)];
  Json object = {{"type", kind->kind}};
  object.update(json_value(kind, choice->get(value)));
  return object;
}
Json value_of(const Type& type, const void* value) {
  return std::visit([&](const auto* shape) { return json_value(shape, value); }, type);
}

// ---- what a value may be ----
// `value`: the default, or nullptr within lists.
Json schema_of(const Type& type, const Limits& limits, const void* value);

// Limits below 2^53 that are whole are written as integers.
Json json_number(double number) {
  const auto whole = static_cast<std::int64_t>(number);
  return static_cast<double>(whole) == number ? Json(whole) : Json(number);
}

void add_limits(Json& schema, const Limits& limits) {
  const double infinity = std::numeric_limits<double>::infinity();
  if (limits.low != -infinity) schema[limits.low_open ? "exclusiveMinimum" : "minimum"] = json_number(limits.low);
  if (limits.high != infinity) schema["maximum"] = json_number(limits.high);
  if (limits.divisor != 0) schema["multipleOf"] = limits.divisor;
}

Json names_schema(std::span<const Option> options) {
  Json names = Json::array();
  Json explained = Json::array();
  bool any_summary = false;
  for (const Option& option : options) {
    names.push_back(option.name);
    Json one = {{"const", option.name}};
    if (!option.summary.empty()) one["description"] = option.summary;
    explained.push_back(one);
    any_summary = any_summary || !option.summary.empty();
  }
  return any_summary ? Json{{"oneOf", explained}} : Json{{"enum", names}};
}

Json shape_schema(const Scalar* scalar, const Limits& limits, const void*) {
  const ScalarInfo info = scalar->info();
  if (!info.options.empty()) return names_schema(info.options);
  if (info.json_type.empty()) {
    Json types = Json::array({"string", "number", "boolean"});
    if (info.takes_lists) types.push_back("array");
    return {{"type", types}};
  }
  Json schema = {{"type", info.json_type}};
  if (info.json_type == "string") {
    if (limits.non_empty) schema["minLength"] = 1;
    return schema;
  }
  add_limits(schema, limits);
  if (info.non_negative && limits.low < 0) schema["minimum"] = 0;
  if (info.pattern.empty()) return schema;
  return {{"anyOf", Json::array({schema, Json{{"type", "string"}, {"pattern", info.pattern}}})}};
}

Json shape_schema(const Maybe* maybe, const Limits& limits, const void* value) {
  const Json word = maybe->word.empty() ? Json{{"type", "null"}} : Json{{"const", maybe->word}};
  const void* inner = value == nullptr ? nullptr : maybe->get(value);
  return {{"anyOf", Json::array({word, schema_of(maybe->inner, limits, inner)})}};
}

Json shape_schema(const List* list, const Limits& limits, const void* value) {
  Json schema = {{"type", "array"}, {"items", schema_of(list->item, limits, nullptr)}};
  if (limits.non_empty) schema["minItems"] = 1;
  if (list->fixed && value != nullptr) schema["minItems"] = schema["maxItems"] = list->size(value);
  return schema;
}

Json shape_schema(const Map* map, const Limits& limits, const void*) {
  Json schema = {{"type", "object"}, {"additionalProperties", schema_of(map->value, limits, nullptr)}};
  if (limits.non_empty) schema["minProperties"] = 1;
  return schema;
}

// What keys without a row may hold: false where there are none.
Json other_keys(const Section& section) {
  const Row* rest = section.rest();
  return rest == nullptr ? Json(false) : schema_of(std::get<const Map*>(rest->type)->value, rest->limits, nullptr);
}

Json properties_of(const Section& section, const void* value) {
  Json properties = Json::object();
  for (const Row& row : section.rows) {
    if (row.rest) continue;
    Json property = schema_of(row.type, row.limits, row.get(value));
    if (!row.doc.empty()) property["description"] = row.doc;
    if (!std::holds_alternative<const Section*>(row.type)) property["default"] = value_of(row.type, row.get(value));
    properties[std::string(row.name)] = std::move(property);
  }
  return properties;
}

Json shape_schema(const Section* section, const Limits&, const void* value) {
  const void* defaults = value == nullptr ? section->defaults() : value;
  return {{"type", "object"}, {"properties", properties_of(*section, defaults)}, {"additionalProperties", other_keys(*section)}};
}

// `type` may be left out for the default's alternative only.
Json shape_schema(const Choice* choice, const Limits&, const void* value) {
  const std::size_t usual = value == nullptr ? 0 : choice->index(value);
  Json kinds = Json::array();
  for (std::size_t i = 0; i < choice->kinds.size(); ++i) {
    const Section& kind = *choice->kinds[i];
    Json properties = {{"type", {{"const", kind.kind}}}};
    properties.update(properties_of(kind, i == usual && value != nullptr ? choice->get(value) : kind.defaults()));
    Json schema = {{"type", "object"}, {"title", kind.kind}, {"properties", properties}, {"additionalProperties", other_keys(kind)}};
    if (i != usual) schema["required"] = Json::array({"type"});
    kinds.push_back(std::move(schema));
  }
  return {{"oneOf", kinds}};
}

Json schema_of(const Type& type, const Limits& limits, const void* value) {
  return std::visit([&](const auto* shape) { return shape_schema(shape, limits, value); }, type);
}

}  // namespace

std::string write_json_schema(const Section& section) {
  Json schema = {{"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"title", "Sluice configuration"}};
  schema.update(shape_schema(&section, Limits{}, nullptr));
  const Json extends = {{"type", "array"},
                        {"items", {{"type", "string"}, {"minLength", 1}}},
                        {"description", "Files that are read first, relative to this one; what stands here comes on top."}};
  Json properties = {{"extends", extends}};
  properties.update(schema["properties"]);
  schema["properties"] = std::move(properties);
  return schema.dump(2) + "\n";
}

}  // namespace sluice::config
