// The JSON Schema accepts the same configurations as the reader. Checked with a small validator for
// the keywords in use, and with Python's jsonschema if it is installed.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>

#include "tests/base/temporary_directory.h"
#include "tests/config/sample.h"

namespace sluice::config {
namespace {

using Json = nlohmann::json;
using sample::Root;

bool has_type(const Json& value, const std::string& type) {
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  if (type == "boolean") return value.is_boolean();
  if (type == "null") return value.is_null();
  if (type == "number") return value.is_number();
  EXPECT_EQ(type, "integer");
  return value.is_number_integer() ||
         (value.is_number_float() && value.get<double>() == std::floor(value.get<double>()));
}

bool valid(const Json& schema, const Json& value);

std::size_t num_valid(const Json& schemas, const Json& value) {
  std::size_t n = 0;
  for (const Json& schema : schemas) n += valid(schema, value) ? 1 : 0;
  return n;
}

bool valid_object(const Json& schema, const Json& value) {
  for (const auto& [key, member] : value.items()) {
    // additionalProperties is false throughout, as a test below checks
    if (!schema.at("properties").contains(key)) return false;
    if (!valid(schema["properties"][key], member)) return false;
  }
  for (const Json& key : schema.value("required", Json::array())) {
    if (!value.contains(key.get<std::string>())) return false;
  }
  return true;
}

bool valid_keyword(const std::string& keyword, const Json& schema, const Json& value) {
  const Json& rule = schema[keyword];
  const bool is_number = value.is_number();
  if (keyword == "type" && rule.is_array())
    return std::any_of(rule.begin(), rule.end(),
                       [&](const Json& type) { return has_type(value, type); });
  if (keyword == "type")
    return has_type(value, rule) && (!value.is_object() || valid_object(schema, value));
  if (keyword == "const") return value == rule;
  if (keyword == "enum") return std::find(rule.begin(), rule.end(), value) != rule.end();
  if (keyword == "anyOf") return num_valid(rule, value) >= 1;
  if (keyword == "oneOf") return num_valid(rule, value) == 1;
  if (keyword == "minimum") return !is_number || value.get<double>() >= rule.get<double>();
  if (keyword == "exclusiveMinimum") return !is_number || value.get<double>() > rule.get<double>();
  if (keyword == "maximum") return !is_number || value.get<double>() <= rule.get<double>();
  if (keyword == "multipleOf")
    return !is_number || std::fmod(value.get<double>(), rule.get<double>()) == 0;
  if (keyword == "minLength")
    return !value.is_string() || value.get<std::string>().size() >= rule.get<std::size_t>();
  if (keyword == "minItems") return !value.is_array() || value.size() >= rule.get<std::size_t>();
  if (keyword == "maxItems") return !value.is_array() || value.size() <= rule.get<std::size_t>();
  if (keyword == "pattern")
    return !value.is_string() ||
           std::regex_search(value.get<std::string>(), std::regex(rule.get<std::string>()));
  if (keyword == "items") {
    return !value.is_array() || std::all_of(value.begin(), value.end(),
                                            [&](const Json& item) { return valid(rule, item); });
  }
  static const std::vector<std::string> kOthers = {
      "properties", "additionalProperties", "required", "description", "default", "title",
      "$schema"};
  EXPECT_NE(std::find(kOthers.begin(), kOthers.end(), keyword), kOthers.end()) << keyword;
  return true;
}

bool valid(const Json& schema, const Json& value) {
  for (const auto& [keyword, rule] : schema.items()) {
    if (!valid_keyword(keyword, schema, value)) return false;
  }
  return true;
}

// A configuration as YAML and as JSON, which differ for a plain 64MiB (a string in JSON).
struct Instance {
  const char* yaml;
  const char* json;  // nullptr: the same text
  bool is_valid;
};
constexpr Instance kInstances[] = {
    {"{}", nullptr, true},
    {R"({"model": {"d_model": 64, "num_heads": 4, "ffn": "relu", "d_ff": "match", "bias": true}})",
     nullptr, true},
    {R"({"model": {"d_ff": 100}})", nullptr, true},
    {R"({"model": {"d_ff": 0}})", nullptr, false},
    {R"({"model": {"d_ff": "mach"}})", nullptr, false},
    {R"({"model": {"d_ff": null}})", nullptr, false},
    {R"({"model": {"d_model": 60}})", nullptr, false},
    {R"({"model": {"d_model": 0}})", nullptr, false},
    {R"({"model": {"d_model": 64.5}})", nullptr, false},
    {R"({"model": {"num_heads": 129}})", nullptr, false},
    {R"({"model": {"bias": 1}})", nullptr, false},
    {R"({"model": {"bias": "true"}})", nullptr, false},
    {R"({"model": {"ffn": "gelu"}})", nullptr, false},
    {R"({"model": {"depth": 4}})", nullptr, false},
    {R"({"model": []})", nullptr, false},
    {R"({"model": null})", nullptr, false},
    {R"({"run": {"name": ""}})", nullptr, false},
    {R"({"run": {"name": 5}})", nullptr, true},
    {R"({"run": {"name": ["x"]}})", nullptr, false},
    {R"({"run": {"name": "x", "seed": 18446744073709551615, "files": ["a"], "note": null,)"
     R"( "limit": 0.5, "device": "cuda", "format": "lines"}})",
     nullptr, true},
    {R"({"run": {"seed": -1}})", nullptr, false},
    {R"({"run": {"limit": 0.25}})", nullptr, false},
    {R"({"run": {"files": "a"}})", nullptr, false},
    {R"({"run": {"format": "line"}})", nullptr, false},
    {R"({"run": {"memory": 1000, "wait": 1.5}})", nullptr, true},
    {R"({"run": {"memory": 0}})", nullptr, false},
    {R"({"run": {"wait": -1}})", nullptr, false},
    {R"({"run": {"memory": 1.5GiB, "wait": 10min}})",
     R"({"run": {"memory": "1.5GiB", "wait": "10min"}})", true},
    {R"({"run": {"memory": 1.5Gb, "wait": 10min}})",
     R"({"run": {"memory": "1.5Gb", "wait": "10min"}})", false},
    {R"({"run": {"wait": 10m}})", R"({"run": {"wait": "10m"}})", false},
    {R"({"run": {"stages": [{"lr": 1}, {}], "extra": {"momentum": 1}}})", nullptr, true},
    {R"({"run": {"stages": [{"lr": 0}]}})", nullptr, false},
    {R"({"run": {"extra": {"momentum": 1.5}}})", nullptr, false},
    {R"({"optimizer": {"lr": 1}})", nullptr, true},
    {R"({"optimizer": {"type": "adamw", "betas": [0.5, 1]}})", nullptr, true},
    {R"({"optimizer": {"betas": [0.5]}})", nullptr, false},
    {R"({"optimizer": {"betas": [0.5, 0.5, 0.5]}})", nullptr, false},
    {R"({"optimizer": {"type": "muon", "momentum": 0.5}})", nullptr, true},
    {R"({"optimizer": {"momentum": 0.5}})", nullptr, false},
    {R"({"optimizer": {"type": "adamw", "momentum": 0.5}})", nullptr, false},
    {R"({"optimizer": {"type": "plain"}})", nullptr, true},
    {R"({"optimizer": {"type": "sgd"}})", nullptr, false},
    {R"({"second": {"momentum": 0.5}})", nullptr, true},
    {R"({"second": {"betas": [0, 1]}})", nullptr, false},
    {R"({"second": {"type": "adamw", "betas": [0, 1]}})", nullptr, true},
    {R"({"nothing": 1})", nullptr, false},
    {"[]", nullptr, false},
};

Json json_of(const Instance& instance) {
  return Json::parse(instance.json == nullptr ? instance.yaml : instance.json);
}

TEST(Schema, AgreesWithTheReader) {
  const Json schema = Json::parse(json_schema<Root>());
  for (const Instance& instance : kInstances) {
    bool read = true;
    try {
      parse<Root>(instance.yaml, "c.yaml");
    } catch (const UserError&) {
      read = false;
    }
    EXPECT_EQ(read, instance.is_valid) << instance.yaml;
    EXPECT_EQ(valid(schema, json_of(instance)), instance.is_valid) << instance.yaml;
  }
}

TEST(Schema, HasDescriptionsDefaultsAndExtends) {
  const Json schema = Json::parse(json_schema<Root>());
  EXPECT_EQ(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
  EXPECT_TRUE(valid(schema, Json::parse(R"({"extends": ["a.yaml"]})")));
  EXPECT_FALSE(valid(schema, Json::parse(R"({"extends": "a.yaml"})")));
  const Json& model = schema["properties"]["model"]["properties"];
  EXPECT_EQ(model["d_model"]["description"], "Width.");
  EXPECT_EQ(model["d_model"]["default"], 192);
  EXPECT_EQ(model["d_ff"]["default"], "match");
  EXPECT_EQ(model["ffn"]["oneOf"][1]["const"], "swiglu");
  EXPECT_EQ(model["ffn"]["oneOf"][1]["description"], "swish gate | two products");
  EXPECT_EQ(schema["properties"]["run"]["properties"]["memory"]["default"], "64MiB");
  EXPECT_EQ(schema["properties"]["second"]["default"],
            Json::parse(R"({"type": "muon", "lr": 0.5, "momentum": 0.25})"));
}

// Every object is closed, and every default satisfies its schema.
void check_below(const Json& schema, std::size_t& num_objects) {
  if (schema.is_object() && schema.value("type", Json()) == "object") {
    ++num_objects;
    EXPECT_EQ(schema["additionalProperties"], false);
    EXPECT_TRUE(schema.contains("properties"));
  }
  if (schema.is_object() && schema.contains("default")) {
    EXPECT_TRUE(valid(schema, schema["default"])) << schema.dump();
  }
  if (!schema.is_structured()) return;
  for (const auto& [key, below] : schema.items()) {
    if (key != "default") check_below(below, num_objects);
  }
}

TEST(Schema, ObjectsAreClosedAndDefaultsValid) {
  std::size_t num_objects = 0;
  check_below(Json::parse(json_schema<Root>()), num_objects);
  // the root, run, its two muon sections, model, and two variants of three types
  EXPECT_EQ(num_objects, 11U);
}

TEST(Schema, AgreesWithPythonJsonschema) {
  const testing::TemporaryDirectory directory;
  const std::string python = SLUICE_PYTHON;
  if (std::system((python + " -c 'import jsonschema' 2>/dev/null").c_str()) != 0)
    GTEST_SKIP() << python << " has no jsonschema";
  Json instances = Json::array();
  for (const Instance& instance : kInstances)
    instances.push_back({{"value", json_of(instance)}, {"valid", instance.is_valid}});
  std::ofstream(directory / "input.json")
      << Json{{"schema", Json::parse(json_schema<Root>())}, {"instances", instances}};
  std::ofstream(directory / "check.py") << R"(
import json, sys
from jsonschema import Draft202012Validator
data = json.load(open(sys.argv[1]))
Draft202012Validator.check_schema(data["schema"])
validator = Draft202012Validator(data["schema"])
disagreements = [i for i in data["instances"] if validator.is_valid(i["value"]) != i["valid"]]
sys.exit("disagrees on %s" % disagreements if disagreements else 0)
)";
  EXPECT_EQ(std::system((python + " " + (directory / "check.py").string() + " " +
                         (directory / "input.json").string())
                            .c_str()),
            0);
}

TEST(Reference, ListsEveryKey) {
  const std::string page = reference_page<Root>();
  for (const char* text :
       {"# Configuration reference\n", "\n## `model`\n\nThe model.\n",
        "| `d_model` | a whole number greater than 0, a multiple of 8 | `192` | Width. | refused "
        "|\n",
        "| `bias` | `true` or `false` | `false` | Biases. | allowed |\n",
        "| `name` | non-empty text | `run` | Name of the run. | exact |\n",
        "- `swiglu`: swish gate | two products\n", "\n### `optimizer` of type `muon`\n",
        "One of these types: `adamw` (default), `muon`, `plain`.",
        "One of these types: `adamw`, `muon` (default), `plain`.",
        "| `lr` | a number greater than 0 | `0.5` |", "\n## `run.stages`\n", "\n## `run.extra`\n",
        "| `memory` | a size such as 512MiB, 2GB or 1000, greater than 0 | `64MiB` |",
        "`extends: [base.yaml]`", "--set"}) {
    EXPECT_NE(page.find(text), std::string::npos) << text;
  }
  // Every key has a row.
  for (const Row& row : describe<sample::Run>().rows)
    EXPECT_NE(page.find("`" + std::string(row.name) + "` |"), std::string::npos) << row.name;
}

}  // namespace
}  // namespace sluice::config
