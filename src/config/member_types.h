// Type traits for describe_types.h: the shape of a member, whether the rows cover a struct, and
// which constraints apply to a type.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "config/describe.h"

namespace sluice::config::detail {

template <class T>
concept Described = std::is_class_v<T> && requires {
  T::fields();
};
template <class T>
concept HasKind = requires {
  { T::kind } -> std::convertible_to<std::string_view>;
};
template <class T>
concept HasCheck = requires(const T& value, Problems& problems) {
  T::check(value, problems);
};
template <class T>
concept NamedEnum = std::is_enum_v<T> && requires {
  names_of(T{});
};

template <class T>
inline constexpr bool is_variant = false;
template <class... A>
inline constexpr bool is_variant<std::variant<A...>> = true;
template <class T>
inline constexpr bool is_row = false;
template <const auto& Table>
inline constexpr bool is_row<RowOf<Table>> = true;
template <class T>
inline constexpr bool is_maybe = false;
template <class T>
inline constexpr bool is_maybe<std::optional<T>> = true;
template <FixedString Word, class T>
inline constexpr bool is_maybe<WordOr<Word, T>> = true;
template <class T>
inline constexpr bool is_array = false;
template <class T, std::size_t N>
inline constexpr bool is_array<std::array<T, N>> = true;
template <class T>
inline constexpr bool is_list = is_array<T>;
template <class T>
inline constexpr bool is_list<std::vector<T>> = true;
template <class T>
inline constexpr bool is_list<std::vector<std::pair<std::string, T>>> = false;  // entries
template <class T>
inline constexpr bool is_map = false;
template <class T>
inline constexpr bool is_map<Entries<T>> = true;
template <class T>
inline constexpr bool is_map<std::vector<std::pair<std::string, T>>> = true;
template <class T>
inline constexpr bool is_map<std::map<std::string, T>> = true;
template <class F>
inline constexpr bool is_rows_of = false;
template <auto Member>
inline constexpr bool is_rows_of<RowsOf<Member>> = true;

template <class T>
struct MemberOf;
template <class S, class M>
struct MemberOf<M S::*> {
  using Struct = S;
  using Value = M;
};
template <auto First, auto...>
struct FirstMemberOf : MemberOf<std::remove_const_t<decltype(First)>> {};
template <class F>
using ValueOf = typename MemberOf<std::remove_const_t<decltype(F::member)>>::Value;

// ---- coverage: one row per member ----
// T has exactly n members if `T{m1, ..., mn}` compiles for the types of the rows and
// `T{m1, ..., mn, {}}` does not.
template <class T, class... Members>
concept TakesExactly = requires {
  T{std::declval<Members>()...};
}
&&!requires { T{std::declval<Members>()..., {}}; };

template <class T, class Rows>
struct Covers;
template <class T, class... F>
struct Covers<T, std::tuple<F...>> {
  static constexpr bool members = TakesExactly<T, ValueOf<F>...>;
  // Names are unique; `type` is reserved for the variant.
  static constexpr bool distinct() {
    const auto rows = T::fields();
    const auto names = std::apply(
        [](const auto&... row) { return std::array<std::string_view, sizeof...(F)>{row.name...}; },
        rows);
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (HasKind<T> && names[i] == "type") return false;
      for (std::size_t j = 0; j < i; ++j) {
        if (names[i] == names[j]) return false;
      }
    }
    return true;
  }
};

// ---- which constraints apply to which types ----
template <class T>
constexpr bool is_numeric() {
  if constexpr (is_maybe<T>)
    return is_numeric<typename std::remove_cvref_t<decltype(*std::declval<T>())>>();
  else if constexpr (is_list<T>)
    return is_numeric<typename T::value_type>();
  else if constexpr (is_map<T> && requires { typename T::mapped_type; })
    return is_numeric<typename T::mapped_type>();
  else
    return (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) || std::is_same_v<T, Bytes> ||
           std::is_same_v<T, Seconds>;
}
template <class T>
constexpr bool has_length() {
  if constexpr (is_maybe<T>)
    return has_length<typename std::remove_cvref_t<decltype(*std::declval<T>())>>();
  else
    return std::is_same_v<T, std::string> || is_list<T> || is_map<T>;
}

// The highest of several lower bounds applies.
inline void raise_low(Limits& limits, double low, bool open) {
  if (low < limits.low || (low == limits.low && !open)) return;
  limits.low = low;
  limits.low_open = open;
}
inline void apply(Row& row, Positive) { raise_low(row.limits, 0, true); }
inline void apply(Row& row, NonNegative) { raise_low(row.limits, 0, false); }
inline void apply(Row& row, AtLeast c) { raise_low(row.limits, c.low, false); }
inline void apply(Row& row, Between c) {
  raise_low(row.limits, c.low, false);
  row.limits.high = std::min(row.limits.high, c.high);
}
inline void apply(Row& row, MultipleOf c) { row.limits.divisor = c.divisor; }
inline void apply(Row& row, NonEmpty) { row.limits.non_empty = true; }
inline void apply(Row& row, Rest) { row.rest = true; }
inline void apply(Row& row, Affects c) { row.affects = c; }
inline void apply(Row& row, AlsoSets c) { row.also_sets = c.key; }
inline void apply(Row& row, Path c) { row.path = c; }
inline void apply(Row& row, Key c) { row.name = c.name; }
inline void apply(Row& row, MayBeMissing) { row.may_be_missing = true; }
template <class Constraint>
inline constexpr bool is_for_any_type =
    std::is_same_v<Constraint, Affects> || std::is_same_v<Constraint, Key> ||
    std::is_same_v<Constraint, MayBeMissing> || std::is_same_v<Constraint, AlsoSets>;

// Text or a list of text, possibly optional.
template <class T>
constexpr bool holds_paths() {
  if constexpr (is_maybe<T>)
    return holds_paths<typename std::remove_cvref_t<decltype(*std::declval<T>())>>();
  else
    return std::is_same_v<T, std::string> || std::is_same_v<T, std::vector<std::string>>;
}

template <class T, class Constraint>
void apply_checked(Row& row, Constraint constraint) {
  if constexpr (std::is_same_v<Constraint, NonEmpty>) {
    static_assert(has_length<T>(), "NonEmpty requires text, a list or a mapping with free keys");
  } else if constexpr (std::is_same_v<Constraint, Rest>) {
    static_assert(is_map<T>, "Rest requires Entries");
  } else if constexpr (std::is_same_v<Constraint, Path>) {
    static_assert(holds_paths<T>(), "Path requires text or a list of text");
  } else if constexpr (!is_for_any_type<Constraint>) {
    static_assert(is_numeric<T>(), "this constraint requires numbers");
  }
  apply(row, constraint);
}

}  // namespace sluice::config::detail
