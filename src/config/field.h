// One description of each configuration struct.
//
//   struct AdamWConfig {
//     static constexpr std::string_view kind = "adamw";              // YAML `type:` where the struct is one of a variant
//     double lr = 3e-4;
//     static constexpr auto fields() {
//       return std::tuple{field<&AdamWConfig::lr>("Peak learning rate.", Positive{})};
//     }
//     static void check(const AdamWConfig&, Problems&);              // optional: conditions across fields
//   };
//
// From these rows follow YAML reading, `--set`, range checks, the commented resolved YAML, the JSON Schema, the reference
// page and the rules for resuming and comparing (Affects, below). The name and the type come from the member. A struct whose rows do not cover
// every member does not compile.
//
// Member types: bool, std::int64_t, std::uint64_t, double, std::string, an enum with `constexpr auto names_of(Enum)` (a
// std::array of std::pair<Enum, std::string_view>, found by argument-dependent look-up), RowOf<table>, WordOr<"word", T>,
// std::optional<T> (YAML null), std::vector<T>, std::array<T, N>, Bytes, Seconds, Word, Hash128, Entries<T> (a mapping with free keys; records also
// use std::map<std::string, T> and std::vector<std::pair<std::string, T>>), a described struct, and a std::variant of described structs with `kind`. The member's initial value is the default.
//
// A root that has all that another root has, and more, takes the other's rows as its own: rows_of<&Larger::smaller>().
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <variant>
#include <vector>

namespace sluice::config {

// ---- constraints: a row takes any number of them ----
struct Positive {};
struct NonNegative {};
struct AtLeast {
  double low;
};
struct Between {
  double low, high;
};                   // both ends allowed
struct NonEmpty {};  // strings, lists and mappings with free keys
struct MultipleOf {
  std::int64_t divisor;
};
// For one Entries row of a struct: it holds the struct's keys that no other row names.
struct Rest {};
// The key, where it is not the member's name.
struct Key {
  std::string_view name;
};
// Of a record (record.h): a text without this key is fine, as earlier versions wrote it or where there is no value.
struct MayBeMissing {};
// A string, or strings, that name files: `~/` stands for the home directory, and checkpoints have `stand_in` in its place
// (empty: the default), so that they do not depend on where things are.
struct Path {
  std::string_view stand_in{};
};

// What a field affects. On a section it holds for all below that say nothing.
enum class Affects {
  kWeights,     // what is trained; without an attribute a field affects this
  kFuture,      // what happens from here on: how long the run is, what follows a divergence
  kShared,      // what is trained, alike in all variants of a comparison: objective, seed
  kText,        // the text; its fingerprint stands for it
  kTokenizer,   // the tokenizer, likewise
  kFigures,     // what is measured, not what is trained
  kArithmetic,  // the type of the numbers
  kExecution,   // how it is executed: the last bits
  kCadence,     // when something is written or shown
  kPlace,       // where something is
  kLabel,       // what people read
};
enum class OnResume { kRefused, kAllowed, kExact };  // kAllowed: no longer bit-equal to an unbroken run
// What follows from it.
struct Rule {
  OnResume on_resume = OnResume::kRefused;
  bool may_vary = false;     // between the variants of a comparison
  bool in_identity = false;  // two runs that differ in it are two experiments
};
constexpr Rule rule_of(Affects affects) {
  switch (affects) {
    case Affects::kWeights:
      return {OnResume::kRefused, true, true};
    case Affects::kFuture:
      return {OnResume::kAllowed, true, true};
    case Affects::kShared:
      return {OnResume::kRefused, false, true};
    case Affects::kText:
      return {OnResume::kRefused, false, false};
    case Affects::kTokenizer:
      return {OnResume::kRefused, true, false};
    case Affects::kFigures:
      return {OnResume::kExact, false, true};
    case Affects::kArithmetic:
      return {OnResume::kRefused, false, false};
    case Affects::kExecution:
      return {OnResume::kAllowed, false, false};
    case Affects::kCadence:
      return {OnResume::kExact, false, false};
    case Affects::kPlace:
      return {OnResume::kExact, false, false};
    case Affects::kLabel:
      return {OnResume::kExact, false, false};
  }
  return {};
}

template <auto Member, class... Constraints>
struct Field {
  static constexpr auto member = Member;
  std::string_view name;
  std::string_view doc;  // one or two sentences; units where there are any
  std::tuple<Constraints...> constraints;
};

namespace detail {
template <auto Member>
constexpr std::string_view member_name() {
  std::string_view text = __PRETTY_FUNCTION__;  // "... [with auto Member = &sluice::optim::AdamWConfig::lr; ...]"
  text = text.substr(text.find("Member = ") + 9);
  text = text.substr(0, text.find_first_of(";]"));
  if (text.ends_with(")")) text.remove_suffix(1);
  return text.substr(text.rfind("::") + 2);
}
}  // namespace detail

template <auto Member, class... Constraints>
constexpr auto field(std::string_view doc, Constraints... constraints) {
  return Field<Member, Constraints...>{detail::member_name<Member>(), doc, std::tuple<Constraints...>{constraints...}};
}

// Stands in fields() for the rows of a described member. See above.
template <auto Member>
struct RowsOf {
  static constexpr auto member = Member;
  std::string_view name, doc;
};
template <auto Member>
constexpr auto rows_of() {
  return RowsOf<Member>{};
}

// ---- value types ----
template <std::size_t N>
struct FixedString {
  char text[N]{};
  constexpr FixedString(const char (&s)[N]) { std::copy_n(s, N, text); }
  constexpr std::string_view view() const { return {text, N - 1}; }
};

// A T, or one word that stands for "decide for me": `threads: auto`, `d_ff: match`, `max_tokens: all`.
template <FixedString Word, class T>
struct WordOr {
  std::optional<T> value;  // empty: the word
  WordOr() = default;
  WordOr(T v) : value(std::move(v)) {}
  static constexpr std::string_view word() { return Word.view(); }
  bool is_word() const { return !value.has_value(); }
  const T& operator*() const { return *value; }
  T value_or(T other) const { return value.value_or(std::move(other)); }  // `other`: what the word stands for
  friend bool operator==(const WordOr&, const WordOr&) = default;
};
template <class T>
using Auto = WordOr<"auto", T>;

// A row of a constexpr table (an array of structs with `.name` and `.summary`), written in YAML by its name. The table is the
// registry, the enumeration, the documentation and the schema.
template <const auto& Table>
class RowOf {
 public:
  constexpr RowOf() = default;
  // For defaults and tests; a name that is not in the table does not compile in constant expressions.
  constexpr explicit RowOf(std::string_view name) : index_(find(name)) {
    if (index_ == std::size(Table)) throw "no such row";
  }
  static constexpr std::size_t find(std::string_view name) {
    std::size_t i = 0;
    while (i < std::size(Table) && Table[i].name != name) ++i;
    return i;
  }
  static constexpr RowOf at(std::size_t index) {
    RowOf r;
    r.index_ = index;
    return r;
  }
  static constexpr const auto& table() { return Table; }
  constexpr const auto& operator*() const { return Table[index_]; }
  constexpr const auto* operator->() const { return &Table[index_]; }
  friend constexpr bool operator==(RowOf a, RowOf b) { return a.index_ == b.index_; }

 private:
  std::size_t index_ = 0;
};

struct Bytes {  // YAML: 512MiB, 2GB, 1000
  std::int64_t count = 0;
  friend bool operator==(Bytes, Bytes) = default;
};
struct Seconds {  // YAML: 30s, 10min, 2h
  double count = 0;
  friend bool operator==(Seconds, Seconds) = default;
};

// Any one word, number or text, kept as it stands: the value of a field that only another struct knows.
struct Word {
  std::string text;
  bool quoted = false;
  friend bool operator==(const Word&, const Word&) = default;
};

// A mapping whose keys are free, in the order of the file. A dotted key may be written as nested mappings too (`--set` does): so the values
// are no mappings.
template <class T>
struct Entries {
  std::vector<std::pair<std::string, T>> items;
  friend bool operator==(const Entries&, const Entries&) = default;
};

// ---- problems found by check() and by the reader ----
// Collects every problem of a file; the reader adds file:line and the dotted path of the struct.
class Problems {
 public:
  virtual ~Problems() = default;
  // `field`: name of the member, or a dotted path below this struct; the line shown is that field's.
  virtual void add(std::string_view field, std::string_view received, std::string_view expected) = 0;
};

}  // namespace sluice::config
