// Implementation of describe<T>(): maps member types to the structs of describe.h. Do not include
// directly; include describe.h.
#pragma once

#include <iterator>

#include "config/describe.h"
#include "config/member_types.h"

namespace sluice::config {

namespace detail {

// ---- one description per type ----
template <class T>
Type type_of();

// The std::optional in a WordOr, or the std::optional itself; M may be const.
template <class M>
auto& optional_in(M& maybe) {
  if constexpr (requires { M::word(); })
    return maybe.value;
  else
    return maybe;
}

template <class T>
const Maybe& maybe_of() {
  using Inner = std::remove_cvref_t<decltype(*std::declval<T&>())>;
  static const Maybe maybe = [] {
    Maybe m;
    m.inner = type_of<Inner>();
    if constexpr (requires { T::word(); }) m.word = T::word();
    m.get = [](const void* p) -> const void* {
      const auto& value = optional_in(*static_cast<const T*>(p));
      return value ? &*value : nullptr;
    };
    m.make = [](void* p) -> void* {
      auto& value = optional_in(*static_cast<T*>(p));
      return value ? &*value : &value.emplace();
    };
    m.clear = [](void* p) { optional_in(*static_cast<T*>(p)).reset(); };
    return m;
  }();
  return maybe;
}

template <class T>
const List& list_of() {
  static_assert(!std::is_same_v<T, std::vector<bool>>, "a list of bool has no addressable items");
  static const List list = [] {
    List l;
    l.item = type_of<typename T::value_type>();
    l.size = [](const void* p) { return static_cast<const T*>(p)->size(); };
    l.at = [](const void* p, std::size_t i) -> const void* {
      return &(*static_cast<const T*>(p))[i];
    };
    l.fixed = is_array<T>;
    l.reset = [](void* p, std::size_t n) {
      if constexpr (!is_array<T>) *static_cast<T*>(p) = T(n);
    };
    return l;
  }();
  return list;
}

// The pairs in an Entries, or the container itself.
template <class M>
auto& pairs_in(M& map) {
  if constexpr (requires { map.items; })
    return map.items;
  else
    return map;
}

template <class T>
const auto& entry(const void* map, std::size_t i) {
  return *std::next(pairs_in(*static_cast<const T*>(map)).begin(), static_cast<std::ptrdiff_t>(i));
}

template <class T>
const Map& map_of() {
  using Pairs = std::remove_cvref_t<decltype(pairs_in(std::declval<T&>()))>;
  using Value = typename Pairs::value_type::second_type;
  static const Map map = [] {
    Map m;
    m.value = type_of<Value>();
    m.size = [](const void* p) { return pairs_in(*static_cast<const T*>(p)).size(); };
    m.key = [](const void* p, std::size_t i) -> std::string_view { return entry<T>(p, i).first; };
    m.at = [](const void* p, std::size_t i) -> const void* { return &entry<T>(p, i).second; };
    m.clear = [](void* p) { pairs_in(*static_cast<T*>(p)).clear(); };
    m.add = [](void* p, std::string_view key) -> void* {
      Pairs& pairs = pairs_in(*static_cast<T*>(p));
      return &pairs.insert(pairs.end(), typename Pairs::value_type(std::string(key), Value{}))
                  ->second;
    };
    return m;
  }();
  return map;
}

template <class T>
struct ChoiceOf;
template <class... A>
struct ChoiceOf<std::variant<A...>> {
  using V = std::variant<A...>;
  static_assert((HasKind<A> && ...), "each alternative of a variant needs `kind`");
  template <class One>
  static V create() {
    return One{};
  }
  static constexpr std::array<V (*)(), sizeof...(A)> kCreators{&create<A>...};
  static const Choice& get() {
    static const Choice choice = [] {
      Choice c;
      c.kinds = {&describe<A>()...};
      c.index = [](const void* p) { return static_cast<const V*>(p)->index(); };
      c.get = [](const void* p) -> const void* {
        return std::visit([](const auto& value) -> const void* { return &value; },
                          *static_cast<const V*>(p));
      };
      c.make = [](void* p, std::size_t i) -> void* {
        V& value = *static_cast<V*>(p);
        if (value.index() != i) value = kCreators[i]();
        return std::visit([](auto& chosen) -> void* { return &chosen; }, value);
      };
      return c;
    }();
    return choice;
  }
};

template <class E>
class EnumType final : public Named {
 public:
  EnumType() : Named(options()) {}
  std::size_t index(const void* value) const override {
    static constexpr auto kNames = names_of(E{});
    std::size_t i = 0;
    while (i < kNames.size() && kNames[i].first != *static_cast<const E*>(value)) ++i;
    return i;
  }
  void set(void* value, std::size_t index) const override {
    static constexpr auto kNames = names_of(E{});
    *static_cast<E*>(value) = kNames[index].first;
  }

 private:
  static std::vector<Option> options() {
    std::vector<Option> list;
    for (const auto& [value, name] : names_of(E{})) list.push_back({name, {}});
    return list;
  }
};

template <class R>
class RowType final : public Named {
 public:
  RowType() : Named(options()) {}
  std::size_t index(const void* value) const override {
    return static_cast<std::size_t>(&**static_cast<const R*>(value) - std::data(R::table()));
  }
  void set(void* value, std::size_t index) const override {
    *static_cast<R*>(value) = R::at(index);
  }

 private:
  static std::vector<Option> options() {
    std::vector<Option> list;
    for (const auto& row : R::table()) list.push_back({row.name, row.summary});
    return list;
  }
};

template <class S>
const S& only() {
  static const S instance{};
  return instance;
}

template <class T>
Type type_of() {
  constexpr bool kNumberOrText = std::is_same_v<T, bool> || std::is_same_v<T, std::int64_t> ||
                                 std::is_same_v<T, std::uint64_t> || std::is_same_v<T, double> ||
                                 std::is_same_v<T, std::string> || std::is_same_v<T, Bytes> ||
                                 std::is_same_v<T, Seconds> || std::is_same_v<T, Word> ||
                                 std::is_same_v<T, Hash128>;
  static_assert(kNumberOrText || NamedEnum<T> || is_row<T> || is_maybe<T> || is_list<T> ||
                    is_map<T> || is_variant<T> || Described<T>,
                "unsupported configuration type; see the list in field.h");
  if constexpr (kNumberOrText)
    return &scalar_for(static_cast<const T*>(nullptr));
  else if constexpr (NamedEnum<T>)
    return &only<EnumType<T>>();
  else if constexpr (is_row<T>)
    return &only<RowType<T>>();
  else if constexpr (is_maybe<T>)
    return &maybe_of<T>();
  else if constexpr (is_list<T>)
    return &list_of<T>();
  else if constexpr (is_map<T>)
    return &map_of<T>();
  else if constexpr (is_variant<T>)
    return &ChoiceOf<T>::get();
  else
    return &describe<T>();
}

// value.*First.*…
template <auto First, auto... Rest>
const auto& reach(const auto& value) {
  if constexpr (sizeof...(Rest) == 0)
    return value.*First;
  else
    return reach<Rest...>(value.*First);
}

// Path: the members that lead from the described struct to the one that has the row.
template <auto... Path, class F>
Row row_of(const F& field) {
  Row row{.name = field.name,
          .doc = field.doc,
          .type = type_of<ValueOf<F>>(),
          .limits = {},
          .affects = {},
          .path = {}};
  row.get = [](const void* p) -> const void* {
    using Owner = typename FirstMemberOf<Path..., F::member>::Struct;
    return &reach<Path..., F::member>(*static_cast<const Owner*>(p));
  };
  std::apply([&](auto... constraint) { (apply_checked<ValueOf<F>>(row, constraint), ...); },
             field.constraints);
  return row;
}

template <auto... Path, class F>
void add_rows(Section& section, const F& field) {
  if constexpr (is_rows_of<F>) {
    std::apply([&](const auto&... inner) { (add_rows<Path..., F::member>(section, inner), ...); },
               ValueOf<F>::fields());
  } else {
    section.rows.push_back(row_of<Path...>(field));
  }
}

// Every check() of T, after those of the structs whose rows it includes.
template <class T, class Rows = std::remove_cvref_t<decltype(T::fields())>>
struct Checks;
template <class F>
constexpr bool has_inner_check() {
  if constexpr (is_rows_of<F>)
    return Checks<ValueOf<F>>::any;
  else
    return false;
}
template <class T, class... F>
struct Checks<T, std::tuple<F...>> {
  static constexpr bool any = HasCheck<T> || (has_inner_check<F>() || ...);
  static void run(const void* p, Problems& problems) {
    const T& value = *static_cast<const T*>(p);
    (run_inner<F>(value, problems), ...);
    if constexpr (HasCheck<T>) T::check(value, problems);
  }
  template <class Inner>
  static void run_inner(const T& value, Problems& problems) {
    if constexpr (has_inner_check<Inner>())
      Checks<ValueOf<Inner>>::run(&(value.*Inner::member), problems);
  }
};

}  // namespace detail

template <class T>
const Section& describe() {
  static_assert(detail::Described<T>, "the struct needs `static constexpr auto fields()`");
  static_assert(std::is_aggregate_v<T>,
                "a configuration struct must be an aggregate: no constructors, no private members");
  using Rows = std::remove_cvref_t<decltype(T::fields())>;
  static_assert(detail::Covers<T, Rows>::members,
                "fields() must have one row per member, in member order");
  static_assert(detail::Covers<T, Rows>::distinct(),
                "fields() repeats a name, or an alternative of a variant has a member `type`");
  static const Section section = [] {
    Section s;
    if constexpr (detail::HasKind<T>) s.kind = T::kind;
    if constexpr (requires { T::as_list; }) s.as_list = T::as_list;
    std::apply([&](const auto&... field) { (detail::add_rows(s, field), ...); }, T::fields());
    s.defaults = []() -> const void* { return &detail::only<T>(); };
    if constexpr (detail::Checks<T>::any) s.check = detail::Checks<T>::run;
    return s;
  }();
  return section;
}

}  // namespace sluice::config
