#include <nlohmann/json.hpp>

#include "base/text_format.h"
#include "config/config.h"
#include "config/json_value.h"
#include "config/record.h"

namespace sluice::config {
namespace {

using Json = nlohmann::ordered_json;

// Writes whole limits below 2^53 as integers.
Json json_number(double number) {
  const auto whole = static_cast<std::int64_t>(number);
  return static_cast<double>(whole) == number ? Json(whole) : Json(number);
}

void add_limits(Json& schema, const Limits& limits) {
  const double infinity = std::numeric_limits<double>::infinity();
  if (limits.low != -infinity)
    schema[limits.low_open ? "exclusiveMinimum" : "minimum"] = json_number(limits.low);
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

// Builds the schema of a type. Unlike configurations, records require their keys and write
// non-finite numbers as null.
class SchemaWriter {
 public:
  explicit SchemaWriter(bool is_record) : is_record_(is_record) {}

  // `value`: the default; nullptr within lists and in records.
  Json schema_of(const Type& type, const Limits& limits, const void* value) const {
    return std::visit([&](const auto* shape) { return shape_schema(shape, limits, value); }, type);
  }

  Json shape_schema(const Section* section, const Limits&, const void* value) const {
    if (section->as_list) return list_schema(*section);
    const void* defaults = is_record_ ? nullptr : value == nullptr ? section->defaults() : value;
    Json schema = {{"type", "object"}, {"properties", properties_of(*section, defaults)}};
    if (is_record_) schema["required"] = required_in(*section);
    schema["additionalProperties"] = other_keys(*section);
    return schema;
  }

 private:
  Json shape_schema(const Scalar* scalar, const Limits& limits, const void*) const {
    const ScalarInfo info = scalar->info();
    if (!info.options.empty()) return names_schema(info.options);
    if (info.json_type.empty()) {
      Json types = Json::array({"string", "number", "boolean"});
      if (info.takes_lists) types.push_back("array");
      return {{"type", types}};
    }
    if (is_record_ && info.json_type == "number" && limits.any_number())
      return {{"type", Json::array({"number", "null"})}};
    Json schema = {{"type", info.json_type}};
    if (info.json_type == "string") {
      // In YAML a plain number is text, too.
      if (!is_record_ && info.pattern.empty()) schema["type"] = Json::array({"string", "number"});
      if (limits.non_empty) schema["minLength"] = 1;
      return schema;
    }
    add_limits(schema, limits);
    if (info.non_negative && limits.low < 0) schema["minimum"] = 0;
    if (info.pattern.empty()) return schema;
    return {{"anyOf", Json::array({schema, Json{{"type", "string"}, {"pattern", info.pattern}}})}};
  }

  Json shape_schema(const Maybe* maybe, const Limits& limits, const void* value) const {
    const Json inner_schema = schema_of(maybe->inner, limits, nullptr);
    // already allows null
    if (is_record_ && inner_schema.value("type", Json()).is_array()) return inner_schema;
    const Json word = maybe->word.empty() ? Json{{"type", "null"}} : Json{{"const", maybe->word}};
    const void* inner = value == nullptr ? nullptr : maybe->get(value);
    return {{"anyOf", Json::array({word, schema_of(maybe->inner, limits, inner)})}};
  }

  Json shape_schema(const List* list, const Limits& limits, const void* value) const {
    Json schema = {{"type", "array"}, {"items", schema_of(list->item, limits, nullptr)}};
    if (limits.non_empty) schema["minItems"] = 1;
    if (list->fixed && value != nullptr)
      schema["minItems"] = schema["maxItems"] = list->size(value);
    return schema;
  }

  Json shape_schema(const Map* map, const Limits& limits, const void*) const {
    Json schema = {{"type", "object"},
                   {"additionalProperties", schema_of(map->value, limits, nullptr)}};
    if (limits.non_empty) schema["minProperties"] = 1;
    return schema;
  }

  // `type` is optional only for the default alternative.
  Json shape_schema(const Choice* choice, const Limits&, const void* value) const {
    const std::size_t default_kind = value == nullptr ? 0 : choice->index(value);
    Json kinds = Json::array();
    for (std::size_t i = 0; i < choice->kinds.size(); ++i) {
      const Section& kind = *choice->kinds[i];
      Json properties = {{"type", {{"const", kind.kind}}}};
      properties.update(properties_of(
          kind, i == default_kind && value != nullptr ? choice->get(value) : kind.defaults()));
      Json schema = {{"type", "object"},
                     {"title", kind.kind},
                     {"properties", properties},
                     {"additionalProperties", other_keys(kind)}};
      if (i != default_kind) schema["required"] = Json::array({"type"});
      kinds.push_back(std::move(schema));
    }
    return {{"oneOf", kinds}};
  }

  Json list_schema(const Section& section) const {
    Json items = Json::array();
    for (const Row& row : section.rows) {
      items.push_back(schema_of(row.type, row.limits, nullptr));
      items.back()["description"] = row.doc;
    }
    return {
        {"type", "array"}, {"prefixItems", items}, {"minItems", items.size()}, {"items", false}};
  }

  // Schema of keys without a row; false if they are not allowed.
  Json other_keys(const Section& section) const {
    const Row* rest = section.rest();
    return rest == nullptr
               ? Json(false)
               : schema_of(std::get<const Map*>(rest->type)->value, rest->limits, nullptr);
  }

  // `value`: the section with its defaults, or nullptr.
  Json properties_of(const Section& section, const void* value) const {
    Json properties = Json::object();
    for (const Row& row : section.rows) {
      if (row.rest) continue;
      const void* default_value = value == nullptr ? nullptr : row.get(value);
      Json property = schema_of(row.type, row.limits, default_value);
      if (!row.also_sets.empty()) property = with_other_key(property, section, row.also_sets);
      if (!row.doc.empty()) property["description"] = row.doc;
      if (default_value != nullptr && !std::holds_alternative<const Section*>(row.type))
        property["default"] = json_value(row.type, default_value);
      properties[std::string(row.name)] = std::move(property);
    }
    return properties;
  }

  // The form {VALUE: null, key: x} of AlsoSets. `names`: the schema of the values alone.
  Json with_other_key(const Json& names, const Section& section, std::string_view key) const {
    const Row& other = *section.find(key);
    Json properties = {{std::string(key), schema_of(other.type, other.limits, nullptr)}};
    for (const Json& name : names.at("enum"))
      properties[name.get<std::string>()] = {{"type", "null"}};
    return {{"anyOf", Json::array({names, Json{{"type", "object"},
                                               {"properties", properties},
                                               {"minProperties", 2},
                                               {"maxProperties", 2},
                                               {"required", Json::array({key})},
                                               {"additionalProperties", false}}})}};
  }

  static Json required_in(const Section& section) {
    Json names = Json::array();
    for (const Row& row : section.rows)
      if (!row.rest && !row.may_be_missing) names.push_back(row.name);
    return names;
  }

  bool is_record_;
};

Json opening(std::string_view title) {
  return {{"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"title", title}};
}

}  // namespace

std::string write_json_schema(const Section& section) {
  Json schema = opening("Sluice configuration");
  schema.update(SchemaWriter(/*is_record=*/false).shape_schema(&section, Limits{}, nullptr));
  const Json extends = {
      {"type", "array"},
      {"items", {{"type", "string"}, {"minLength", 1}}},
      {"description",
       "Files to read first, relative to this file; the keys in this file override theirs."}};
  Json properties = {{"extends", extends}};
  properties.update(schema["properties"]);
  schema["properties"] = std::move(properties);
  return schema.dump(2) + "\n";
}

std::string record_schema(const RecordKind& kind) {
  Json schema = opening(kind.format->place), properties = Json::object();
  schema["description"] = kind.format->summary;
  schema.update(SchemaWriter(/*is_record=*/true).shape_schema(&kind.section(), Limits{}, nullptr));
  Json required = Json::array();
  if (kind.format->version > 0) {
    properties[kFormatKey] = {{"const", kind.format->version}};
    required.push_back(kFormatKey);
  }
  properties.update(schema["properties"]);
  for (const Json& name : schema["required"]) required.push_back(name);
  if (kind.format->seal != RecordFormat::Seal::kNone) {
    properties[kSealKey] = {{"type", "string"},
                            {"pattern", "^[0-9a-f]{32}$"},
                            {"description", "Hash of the text with an empty seal."}};
    if (kind.format->seal == RecordFormat::Seal::kRequired) required.push_back(kSealKey);
  }
  schema["properties"] = std::move(properties);
  schema["required"] = std::move(required);
  return schema.dump(2) + "\n";
}

}  // namespace sluice::config
