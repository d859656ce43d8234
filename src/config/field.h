// Declares the fields of a configuration struct.
//
//   struct AdamWConfig {
//     static constexpr std::string_view kind = "adamw";  // YAML `type:`, for variant alternatives
//     double lr = 3e-4;
//     static constexpr auto fields() {
//       return std::tuple{field<&AdamWConfig::lr>("Peak learning rate.", Positive{})};
//     }
//     static void check(const AdamWConfig&, Problems&);  // optional: conditions across fields
//   };
//
// YAML reading, `--set`, range checks, the commented resolved YAML, the JSON Schema, the reference
// page and the rules for resuming and comparing (Affects, below) all derive from these rows. Name
// and type come from the member. A struct whose rows do not cover every member does not compile.
//
// Member types: bool, std::int64_t, std::uint64_t, double, std::string, an enum with `constexpr
// auto names_of(Enum)` (a std::array of std::pair<Enum, std::string_view>, found by
// argument-dependent lookup), RowOf<table>, WordOr<"word", T>, std::optional<T> (YAML null),
// std::vector<T>, std::array<T, N>, Bytes, Seconds, Word, Hash128, Entries<T> (a mapping with free
// keys; records also use std::map<std::string, T> and std::vector<std::pair<std::string, T>>), a
// described struct, and a std::variant of described structs with `kind`. The member's initial value
// is the default.
//
// rows_of<&Larger::smaller>() embeds the rows of another root struct.
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

struct Section;
template <class T>
const Section& describe();  // see describe.h

// ---- constraints: any number per row ----
struct Positive {};
struct NonNegative {};
struct AtLeast {
  double low;
};
struct Between {  // inclusive
  double low, high;
};
struct NonEmpty {};  // strings, lists and mappings with free keys
struct MultipleOf {
  std::int64_t divisor;
};
// For one Entries row per struct: it receives all keys without a row.
struct Rest {};
// The key, if it differs from the member's name.
struct Key {
  std::string_view name;
};
// In a record (record.h): the key is optional, because earlier versions did not write it or because
// there may be no value.
struct MayBeMissing {};
// The value may also be written as a mapping that sets another key of the section beside it:
// `metric: {bits_per_byte, average_last: 4}`.
struct AlsoSets {
  std::string_view key;
};
// A string, or strings, naming files. `~/` expands to the home directory. Checkpoints store
// `placeholder` instead of the path (empty: the default value), so that they do not depend on file
// locations.
struct Path {
  std::string_view placeholder{};
};

// What a field affects. On a section: the default for the fields below it.
enum class Affects {
  kWeights,     // the trained weights (the default)
  kFuture,      // only the steps to come: training length, response to divergence
  kShared,      // the trained weights; equal in all variants of a comparison: objective, seed
  kText,        // the corpus, identified by its fingerprint
  kTokenizer,   // the tokenizer, identified by its fingerprint
  kFigures,     // the reported metrics, not the weights
  kArithmetic,  // the floating-point type
  kExecution,   // how the run is executed: only rounding
  kCadence,     // neither bits nor metrics: how often output is written, how processes meet
  kPlace,       // file locations
  kLabel,       // text for the reader
};
// Effect of a change on resume: an error; allowed, but no longer bit-identical to an uninterrupted
// run; or allowed and bit-identical.
enum class OnResume { kRefused, kAllowed, kExact };
struct Rule {
  OnResume on_resume = OnResume::kRefused;
  bool may_vary = false;     // between the variants of a comparison
  bool in_identity = false;  // runs that differ in it are different experiments
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
      return {OnResume::kRefused, true, false};
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
  std::string_view doc;  // one or two sentences, with units
  std::tuple<Constraints...> constraints;
};

namespace detail {
template <auto Member>
constexpr std::string_view member_name() {
  // "... [with auto Member = &sluice::optim::AdamWConfig::lr; ...]"
  std::string_view text = __PRETTY_FUNCTION__;
  text = text.substr(text.find("Member = ") + 9);
  text = text.substr(0, text.find_first_of(";]"));
  if (text.ends_with(")")) text.remove_suffix(1);
  return text.substr(text.rfind("::") + 2);
}
}  // namespace detail

template <auto Member, class... Constraints>
constexpr auto field(std::string_view doc, Constraints... constraints) {
  return Field<Member, Constraints...>{detail::member_name<Member>(), doc,
                                       std::tuple<Constraints...>{constraints...}};
}

// Embeds the rows of a described member in fields(). See above.
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

// A T, or one word that leaves the choice to the program: `threads: auto`, `d_ff: match`,
// `max_tokens: all`.
template <FixedString Word, class T>
struct WordOr {
  std::optional<T> value;  // empty: the word
  WordOr() = default;
  WordOr(T v) : value(std::move(v)) {}
  static constexpr std::string_view word() { return Word.view(); }
  bool is_word() const { return !value.has_value(); }
  const T& operator*() const { return *value; }
  T value_or(T fallback) const { return value.value_or(std::move(fallback)); }
  friend bool operator==(const WordOr&, const WordOr&) = default;
};
template <class T>
using Auto = WordOr<"auto", T>;

// A row of a constexpr table (an array of structs with `.name` and `.summary`), identified in YAML
// by its name. Registry, allowed values, documentation and schema all come from the table.
template <const auto& Table>
class RowOf {
 public:
  constexpr RowOf() = default;
  // For defaults and tests; in constant expressions an unknown name does not compile.
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

// Any one word, number or text, kept unparsed: the value of a field of another struct.
struct Word {
  std::string text;
  bool quoted = false;
  friend bool operator==(const Word&, const Word&) = default;
};

// A mapping with free keys, in file order. A dotted key may also be written as nested mappings
// (`--set` does so); therefore the values cannot be mappings.
template <class T>
struct Entries {
  std::vector<std::pair<std::string, T>> items;
  friend bool operator==(const Entries&, const Entries&) = default;
};

// ---- problems reported by check() ----
// Collects problems; the reader adds file:line and the dotted path of the struct.
class Problems {
 public:
  virtual ~Problems() = default;
  // `field`: name of the member, or a dotted path below this struct; determines the reported line.
  virtual void add(std::string_view field, std::string_view received,
                   std::string_view expected) = 0;
};

}  // namespace sluice::config
