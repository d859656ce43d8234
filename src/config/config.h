// Configuration: YAML in, described structs (field.h) out, and back.
//
// Strict: an unknown, duplicate or mistyped key, a value out of range, an unresolvable alias, a merge key, a number such as 010
// or a word such as `on` where it would be misread are problems. All problems of a file are reported in one UserError
// (kUsage), one line each: "FILE:LINE: DOTTED.PATH: received VALUE; expected WHAT (did you mean `KEY`?)".
// `extends: [base.yaml]` at the top merges other files first (paths relative to the file that names them, at most 8 deep, no
// cycles, 64 files in all); mappings merge, everything else is replaced; a mapping whose `type` changes is replaced whole.
// Overrides come last.
// Text that is no YAML is shown with its column. A file has at most 128 KiB, 64 levels, and all together 50,000 values.
// A default that breaks a limit of its row (an empty list that is NonEmpty) must be given: "received nothing".
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

// An override that some section of the file makes: "compare.vary" and "a.b=c". Messages call it FILE: compare.vary.a.b.
struct Setting {
  std::string section, text;
};

// A configuration as text with the places it came from: merged, overridden, not yet typed.
struct Input {
  std::filesystem::path file;          // empty: defaults and overrides only
  std::vector<std::string> overrides;  // "a.b=c", c read as YAML; messages call them --set
  std::vector<Setting> settings{};     // the same, stronger, from elsewhere in the file
};

// Reads and checks. kMissingInput where the file is not there.
template <class T>
T load(const Input& input) {
  T value{};
  load_into(describe<T>(), &value, input);
  return value;
}

// For tests and for text that lies in a checkpoint; `name` stands for the file in messages. `extends` is refused here.
template <class T>
T parse(std::string_view yaml, std::string_view name) {
  T value{};
  parse_into(describe<T>(), &value, yaml, name);
  return value;
}

enum class Comments { kNone, kDocs };
// Every field with its value; kDocs: each with its documentation as a comment. load() of the text gives the same value.
template <class T>
std::string to_yaml(const T& value, Comments comments = Comments::kDocs) {
  return write_yaml(describe<T>(), &value, comments == Comments::kDocs);
}

// One changed field between two configurations.
struct Change {
  std::string path, before, after;  // dotted path; values as YAML
  Affects affects = Affects::kWeights;
};
template <class T>
std::vector<Change> changes(const T& before, const T& after) {
  return find_changes(describe<T>(), &before, &after);
}

// The fields that make a run the experiment that it is (Rule::in_identity), as YAML.
template <class T>
std::string identity(const T& value) {
  return write_identity(describe<T>(), &value);
}

// What the field at a dotted path affects, of whichever type its section is; nothing where there is no such field.
template <class T>
std::optional<Affects> affects_of(std::string_view path) {
  return find_affects(describe<T>(), path);
}

// Calls `visit` with each path that a value has, and its dotted path.
template <class T>
void for_each_path(T& value, const std::function<void(const std::string& field, std::string& path)>& visit) {
  visit_paths(describe<T>(), &value, visit);
}
// The same value with a stand-in for each path.
template <class T>
T without_paths(T value) {
  replace_paths(describe<T>(), &value);
  return value;
}

// JSON Schema (draft 2020-12) for editors; the Markdown reference page.
template <class T>
std::string json_schema() {
  return write_json_schema(describe<T>());
}
template <class T>
std::string reference_page() {
  return write_reference_page(describe<T>());
}

}  // namespace sluice::config
