// Reads YAML into described structs (field.h) and writes them back.
//
// Parsing is strict. Unknown, duplicate or mistyped keys, values out of range, unresolvable
// aliases, merge keys, numbers such as 010 and ambiguous words such as `on` are errors. One
// UserError (kUsage) reports all problems of a file, one line each:
//
//   FILE:LINE: DOTTED.PATH: received VALUE; expected WHAT (did you mean `KEY`?)
//
// Syntax errors also show the column. A key whose default violates its own limits (e.g. a NonEmpty
// list that is empty by default) is required: "missing; expected WHAT".
//
// `extends: [base.yaml]` at the top level merges other files first: paths are relative to the file
// that names them, at most 8 levels, no cycles, 64 files in total. Mappings merge; all other values
// are replaced, and so is a mapping whose `type` changes. Overrides are applied last.
//
// Limits: 128 KiB and 64 levels of nesting per file, 50,000 values in total.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/describe.h"

namespace sluice::config {

// An override made by a section of the file itself, e.g. "compare.vary" and "a.b=c". Error messages
// refer to it as FILE: compare.vary.a.b.
struct Setting {
  std::string section, text;
};

// The sources of a configuration.
struct Input {
  std::filesystem::path file;          // empty: defaults and overrides only
  std::vector<std::string> overrides;  // "a.b=c", c parsed as YAML; called --set in messages
  std::vector<Setting> settings{};     // applied after `overrides`
};

// Reads and validates. kMissingInput if the file does not exist.
template <class T>
T load(const Input& input) {
  T value{};
  load_into(describe<T>(), &value, input);
  return value;
}

// For tests and for configurations stored in checkpoints; `name` replaces the file name in
// messages. `extends` is an error.
template <class T>
T parse(std::string_view yaml, std::string_view name) {
  T value{};
  parse_into(describe<T>(), &value, yaml, name);
  return value;
}

enum class Comments { kNone, kDocs };
// Every field with its value; kDocs adds the documentation of each as a comment. load() of the text
// returns an equal value.
template <class T>
std::string to_yaml(const T& value, Comments comments = Comments::kDocs) {
  return write_yaml(describe<T>(), &value, comments == Comments::kDocs);
}

// A field that differs between two configurations.
struct Change {
  std::string path, before, after;  // dotted path; values as YAML
  Affects affects = Affects::kWeights;
};
template <class T>
std::vector<Change> changes(const T& before, const T& after) {
  return find_changes(describe<T>(), &before, &after);
}

// The fields that define an experiment (Rule::in_identity), as YAML.
template <class T>
std::string identity(const T& value) {
  return write_identity(describe<T>(), &value);
}

// What the field at a dotted path affects; searches all types of a section. nullopt if there is no
// such field.
template <class T>
std::optional<Affects> affects_of(std::string_view path) {
  return find_affects(describe<T>(), path);
}

// Calls `visit` for each file path in a value, with the dotted path of its field.
template <class T>
void for_each_path(T& value,
                   const std::function<void(const std::string& field, std::string& path)>& visit) {
  visit_paths(describe<T>(), &value, visit);
}
// The same value with each file path replaced by its placeholder (see Path).
template <class T>
T without_paths(T value) {
  replace_paths(describe<T>(), &value);
  return value;
}

// JSON Schema (draft 2020-12), for editors; the Markdown reference page.
template <class T>
std::string json_schema() {
  return write_json_schema(describe<T>());
}
template <class T>
std::string reference_page() {
  return write_reference_page(describe<T>());
}

}  // namespace sluice::config
