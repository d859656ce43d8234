// The description of a configuration struct as plain data: what field.h says with types, without templates.
//
// describe<T>() turns the constexpr rows of a struct into a Section once; reading, writing, comparing, schema and reference page
// walk that Section and know no C++ types. Values are reached as `void*` through the functions stored beside each type.
//
// A new value type:
//   - written in YAML as one word or number: derive from Scalar (scalars.h has the patterns: read, write, info, number), add a
//     `type_of` branch in describe_types.h, and a line in the list of field.h. Schema, reference page and messages follow from info().
//   - made of others: it is a Maybe (a value or a word), a List, a Map, a Section or a Choice; give its four or so functions in
//     describe_types.h. A seventh shape needs an overload in read.cpp, write.cpp, changes.cpp, schema.cpp and reference.cpp; the compiler
//     names each place, since all of them visit the variant `Type`.
// A new constraint: a struct in field.h, an `apply` in describe_types.h, its words and its test in limits.cpp, its keyword in schema.cpp.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "config/field.h"
#include "config/scalars.h"

namespace sluice::config {

struct Maybe;
struct List;
struct Map;
struct Section;
struct Choice;
// The type of a member. The pointers lead to descriptions that live as long as the program.
using Type = std::variant<const Scalar*, const Maybe*, const List*, const Map*, const Section*, const Choice*>;

// std::optional (word empty: YAML null) and WordOr.
struct Maybe {
  std::string_view word;
  Type inner;
  const void* (*get)(const void*) = nullptr;  // nullptr where the word stands
  void* (*make)(void*) = nullptr;             // the value, default-constructed where there was none
  void (*clear)(void*) = nullptr;
};

// std::vector and std::array.
struct List {
  Type item;
  bool fixed = false;  // std::array: always size() items
  std::size_t (*size)(const void*) = nullptr;
  const void* (*at)(const void*, std::size_t) = nullptr;
  void (*reset)(void*, std::size_t) = nullptr;  // that many default-constructed items; nothing where fixed
};

// Entries.
struct Map {
  Type value;
  std::size_t (*size)(const void*) = nullptr;
  std::string_view (*key)(const void*, std::size_t) = nullptr;
  const void* (*at)(const void*, std::size_t) = nullptr;
  void (*clear)(void*) = nullptr;
  void* (*add)(void*, std::string_view key) = nullptr;  // a default-constructed value
};

// One member of a described struct. Limits hold for the value, or for each value of a list or map.
struct Row {
  std::string_view name, doc;
  Type type;
  Limits limits;
  std::optional<Affects> affects;
  std::optional<Path> path;
  bool rest = false;                          // a Map of the keys that no other row names
  bool may_be_missing = false;                // in records
  const void* (*get)(const void*) = nullptr;  // from the struct to the member
};

// A described struct.
struct Section {
  std::string_view kind;  // empty where the struct is no alternative of a variant
  std::vector<Row> rows;
  bool as_list = false;                             // in records: a list of the members instead of a mapping
  const void* (*defaults)() = nullptr;              // a default-constructed one
  void (*check)(const void*, Problems&) = nullptr;  // may be nullptr
  const Row* find(std::string_view name) const;     // nullptr where there is none; never the rest
  const Row* rest() const;                          // likewise
};

// std::variant of described structs, chosen in YAML by `type`.
struct Choice {
  std::vector<const Section*> kinds;
  std::size_t (*index)(const void*) = nullptr;
  const void* (*get)(const void*) = nullptr;
  void* (*make)(void*, std::size_t) = nullptr;       // switches to the alternative, default-constructed, unless it is there
  const Section* find(std::string_view kind) const;  // nullptr where there is none
};

// What config.h offers, without templates; see there.
struct Input;
struct Change;
void load_into(const Section& section, void* value, const Input& input);
void parse_into(const Section& section, void* value, std::string_view yaml, std::string_view name);
std::string write_yaml(const Section& section, const void* value, bool with_docs);
std::vector<Change> find_changes(const Section& section, const void* before, const void* after);
std::string write_identity(const Section& section, const void* value);
std::optional<Affects> find_affects(const Section& section, std::string_view path);
void visit_paths(const Section& section, void* value, const std::function<void(const std::string&, std::string&)>& visit);
void replace_paths(const Section& section, void* value);
std::string write_json_schema(const Section& section);
std::string write_reference_page(const Section& section);

// The description of struct T.
template <class T>
const Section& describe();

}  // namespace sluice::config

#include "config/describe_types.h"  // how describe<T>() does it
