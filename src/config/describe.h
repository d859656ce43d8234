// Runtime description of a configuration struct: the type-erased form of the rows in field.h.
//
// describe<T>() converts the constexpr rows of a struct to a Section, once. Reading, writing,
// comparing, the JSON Schema and the reference page walk that Section without knowing C++ types.
// They access values as `void*` through the function pointers stored with each type.
//
// To add a value type:
//   - A single YAML word or number: derive from Scalar (see scalars.h for read, write, info and
//     number), add a branch to `type_of` in describe_types.h and a line to the list in field.h.
//     Schema, reference page and messages follow from info().
//   - A composite: use a Maybe (a value or a word), List, Map, Section or Choice and provide its
//     functions in describe_types.h. A seventh shape needs an overload in read.cpp, write.cpp,
//     changes.cpp, schema.cpp and reference.cpp; all of them visit the variant `Type`, so the
//     compiler reports each missing one.
// To add a constraint: a struct in field.h, an `apply` in member_types.h, its wording and check in
// limits.cpp, its keyword in schema.cpp.
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
// The type of a member. The pointers refer to descriptions with static storage duration.
using Type = std::variant<const Scalar*, const Maybe*, const List*, const Map*, const Section*,
                          const Choice*>;

// std::optional (empty `word`: YAML null) and WordOr.
struct Maybe {
  std::string_view word;
  Type inner;
  const void* (*get)(const void*) = nullptr;  // nullptr if there is no value
  void* (*make)(void*) = nullptr;             // the value, default-constructed if there is none
  void (*clear)(void*) = nullptr;
};

// std::vector and std::array.
struct List {
  Type item;
  bool fixed = false;  // std::array: always size() items
  std::size_t (*size)(const void*) = nullptr;
  const void* (*at)(const void*, std::size_t) = nullptr;
  // resizes to default-constructed items; no effect if fixed
  void (*reset)(void*, std::size_t) = nullptr;
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

// One member of a described struct. Limits apply to the value, or to each value of a list or map.
struct Row {
  std::string_view name, doc;
  Type type;
  Limits limits;
  std::optional<Affects> affects;
  std::optional<Path> path;
  std::string_view also_sets;                 // the key of AlsoSets; empty without it
  bool rest = false;                          // a Map of all keys without a row
  bool may_be_missing = false;                // in records
  const void* (*get)(const void*) = nullptr;  // from the struct to the member
};

// A described struct.
struct Section {
  std::string_view kind;  // empty unless the struct is an alternative of a variant
  std::vector<Row> rows;
  bool as_list = false;  // in records: written as a list of the members instead of a mapping
  const void* (*defaults)() = nullptr;              // a default-constructed struct
  void (*check)(const void*, Problems&) = nullptr;  // may be nullptr
  const Row* find(std::string_view name) const;     // nullptr if not found; ignores the rest row
  const Row* rest() const;                          // nullptr if there is none
};

// std::variant of described structs, chosen in YAML by `type`.
struct Choice {
  std::vector<const Section*> kinds;
  std::size_t (*index)(const void*) = nullptr;
  const void* (*get)(const void*) = nullptr;
  // switches to the alternative and default-constructs it, unless it is active already
  void* (*make)(void*, std::size_t) = nullptr;
  const Section* find(std::string_view kind) const;  // nullptr if not found
};

// Type-erased implementations of the functions in config.h.
struct Input;
struct Change;
void load_into(const Section& section, void* value, const Input& input);
void parse_into(const Section& section, void* value, std::string_view yaml, std::string_view name);
std::string write_yaml(const Section& section, const void* value, bool with_docs);
std::vector<Change> find_changes(const Section& section, const void* before, const void* after);
std::string write_identity(const Section& section, const void* value);
std::optional<Affects> find_affects(const Section& section, std::string_view path);
void visit_paths(const Section& section, void* value,
                 const std::function<void(const std::string&, std::string&)>& visit);
void replace_paths(const Section& section, void* value);
std::string write_json_schema(const Section& section);
std::string write_reference_page(const Section& section);

// The description of struct T. Structs that many files read have an explicit instantiation, since
// this takes the compiler seconds.
template <class T>
const Section& describe();

}  // namespace sluice::config

#include "config/describe_types.h"  // defines describe<T>()
