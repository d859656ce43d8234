#include "config/read.h"

#include <algorithm>
#include <cctype>
#include <optional>

#include "base/text_format.h"
#include "config/aliases.h"
#include "config/dotted.h"
#include "config/expected.h"
#include "config/merge.h"
#include "config/report.h"
#include "config/suggest.h"
#include "config/write.h"

namespace sluice::config {
namespace {

constexpr std::size_t kMaxReceived = 200;
constexpr std::string_view kMappingOrNothing = "a mapping; omit the key to use the defaults";

// Location of a value, for messages.
struct Place {
  std::string path;
  Mark mark;  // of the value, or of the nearest enclosing mapping in the file
};

// Constraints on a value; `type` is the type of the whole row or of a list item.
struct Rules {
  const Limits& limits;
  const Type& type;
  std::string_view also_sets{};  // see AlsoSets
  std::string expected() const {
    const std::string words = expected_words(type, limits);
    return also_sets.empty() ? words
                             : cat(words, ", or {VALUE, ", also_sets, ": ...} if `", also_sets,
                                   "` is not set beside it");
  }
};

// Words allowed in place of a value: `auto`, `null`.
std::vector<std::string_view> words_of(const Type& type) {
  const auto* maybe = std::get_if<const Maybe*>(&type);
  if (maybe == nullptr) return {};
  std::vector<std::string_view> words = words_of((*maybe)->inner);
  words.insert(words.begin(), (*maybe)->word.empty() ? "null" : (*maybe)->word);
  return words;
}

template <class List, class Name>
std::string_view suggested_of(std::string_view text, const List& list, Name name) {
  std::vector<std::string_view> names;
  for (const auto& item : list) names.push_back(name(item));
  return suggested(text, names);
}

// A list as one line of YAML; nullopt if it contains a mapping or null.
std::optional<std::string> one_line(const Node& node) {
  if (node.form == Node::Form::kQuoted) return quoted_if_needed(node.text, node.text);
  if (node.form == Node::Form::kPlain)  // block style allows characters that flow style does not
    return node.text.find_first_of(",[]{}") == std::string::npos
               ? node.text
               : quoted_if_needed(node.text, node.text);
  if (!node.is_list()) return std::nullopt;
  std::string text;
  for (const Node& item : node.children) {
    const auto word = one_line(item);
    if (!word) return std::nullopt;
    text += cat(text.empty() ? "" : ", ", *word);
  }
  return cat('[', text, ']');
}

std::string_view row_name(const Row& row) { return row.name; }

std::string_view suggested_kind(const Choice& choice, const Node& node) {
  return node.is_scalar() ? suggested_of(node.text, choice.kinds, kind_name) : "";
}

// An example of the expected form, from the received value or the default.
std::string list_example(const List& list, const void* value, const Node& node) {
  if (node.is_scalar() && !list.fixed) return cat(", such as [", printable(node.text), ']');
  return list.size(value) == 0 ? "" : cat(", such as ", write_flow(&list, value));
}

// Formats problems, with suggestions. Functions that add a problem return false: the value is
// invalid.
class Faults {
 public:
  Faults(Report& report, const Section& root) : report_(report), root_(root) {}

  bool add(const Place& place, const Node* node, std::string_view expected,
           std::string_view hint = {}) {
    report_.add(place.mark, place.path, node == nullptr ? "missing" : shown(*node), expected, hint);
    return false;
  }

  bool add_refused(const Node& node, const Place& place, const Rules& rules,
                   const Refusal& refusal) {
    const std::vector<std::string_view> words = words_of(rules.type);
    std::string hint = refusal.suggestion;
    if (hint.empty()) hint = suggested(node.text, words);
    std::string expected = rules.expected();
    if (!refusal.expected.empty()) {
      expected = cat(enumerated(words, [](auto word) { return cat('`', word, "` or "); }),
                     refusal.expected);
    }
    return add(place, &node, expected, hint);
  }

  bool add_duplicate_key(const Place& place) {
    report_.add(place.mark, place.path, "duplicate key", "unique keys");
    return false;
  }

  bool add_unknown_kind(const Choice& choice, const Node& type, const Place& place) {
    const std::string expected = cat("one of ", enumerated(choice.kinds, kind_name));
    return add({dotted(place.path, "type"), type.mark}, &type, expected,
               suggested_kind(choice, type));
  }

  // Every key of `node` that the section lacks.
  bool add_unknown_keys(const Section& section, const Node& node, const Place& place,
                        const Choice* choice) {
    bool ok = true;
    for (const Node& entry : node.children) {
      if (section.find(entry.key) != nullptr || (choice != nullptr && entry.key == "type"))
        continue;
      ok = add_unknown_key(section, entry, place, choice);
    }
    return ok;
  }

  bool add_unknown_key(const Section& section, const Node& entry, const Place& place,
                       const Choice* choice) {
    const std::string path = dotted(place.path, printable(entry.key));
    std::string expected = enumerated(section.rows, row_name);
    if (choice != nullptr) expected = cat("type", expected.empty() ? "" : ", ", expected);
    expected =
        cat(choice != nullptr ? cat("a key of type ", section.kind) : "a key of this section", ": ",
            expected);
    const Section* owner = choice == nullptr ? nullptr : kind_with(*choice, entry.key);
    const std::string hint = owner == nullptr ? meant_key(section, place, entry.key) : "";
    if (owner != nullptr)
      expected += cat("; `", printable(entry.key), "` belongs to type ", owner->kind);
    report_.add(entry.key_mark, path, "unknown key", expected, hint);
    return false;
  }

 private:
  static const Section* kind_with(const Choice& choice, std::string_view key) {
    for (const Section* kind : choice.kinds) {
      if (kind->find(key) != nullptr) return kind;
    }
    return nullptr;
  }

  // Suggested replacement for an unknown key; a full path if the key belongs to another section.
  std::string meant_key(const Section& section, const Place& place, std::string_view key) {
    if (report_.full()) return "";
    if (!paths_) paths_.emplace(root_);
    const std::string path = dotted(place.path, key);
    const std::size_t dot = key.find('.');
    if (dot != std::string_view::npos && paths_->has(path))
      return cat(key.substr(0, dot), ": {", key.substr(dot + 1), ": ...}");
    const std::vector<std::string> known = paths_->candidates(place.path, key);
    if (!known.empty()) return alternatives(known);
    const std::string_view near = suggested_of(key, section.rows, row_name);
    return near.empty() ? alternatives(paths_->similar(key)) : std::string(near);
  }

  Report& report_;
  const Section& root_;
  std::optional<KeyPaths> paths_;  // created for the first unknown key
};

// Adds the location of the named field to problems found by check().
class CheckProblems final : public Problems {
 public:
  CheckProblems(Report& report, const Node* node, const Place& place)
      : report_(report), node_(node), place_(place) {}
  void add(std::string_view field, std::string_view received, std::string_view expected) override {
    any_ = true;
    report_.add(mark_of(field), dotted(place_.path, field), printable(received, kMaxReceived),
                expected);
  }
  bool any() const { return any_; }

 private:
  Mark mark_of(std::string_view field) const {
    const Node* at = node_;
    Mark mark = place_.mark;
    while (at != nullptr && !field.empty()) {
      const std::size_t dot = field.find('.');
      const std::string_view name = field.substr(0, dot);
      at = at->find(name.substr(0, name.find('[')));
      if (at != nullptr) mark = at->key_mark;
      field = dot == std::string_view::npos ? "" : field.substr(dot + 1);
    }
    return mark;
  }
  Report& report_;
  const Node* node_;
  const Place& place_;
  bool any_ = false;
};

// Whether `node` is the word of `maybe`.
bool stands_for(const Maybe& maybe, const Node& node) {
  if (!node.is_scalar() || node.text != maybe.word) return false;
  const auto* scalar = std::get_if<const Scalar*>(&maybe.inner);
  // If text is allowed, a quoted word is ordinary text.
  return node.form == Node::Form::kPlain || scalar == nullptr || !(*scalar)->info().is_text;
}

// For lists and mappings: the line of the key.
Mark mark_of(const Node& entry) { return entry.is_scalar() ? entry.mark : entry.key_mark; }

// Each read() returns whether the value and all its parts are valid. `node` is nullptr if the value
// is missing; then the default is kept, and checked against the limits.
class Reader {
 public:
  Reader(Report& report, const Section& root) : report_(report), faults_(report, root) {}

  bool read(const Section* section, void* value, const Node* node, const Place& place,
            const Rules*) {
    return read_section(*section, value, node, place, nullptr);
  }

  bool read(const Choice* choice, void* value, const Node* node, const Place& place,
            const Rules* rules) {
    const Section* kind = choice->kinds[choice->index(value)];
    if (node == nullptr)
      return read_section(*kind, choice->make(value, choice->index(value)), nullptr, place, choice);
    if (!node->is_mapping()) {
      const std::string_view meant = suggested_kind(*choice, *node);
      return faults_.add(place, node, rules->expected(),
                         meant.empty() ? "" : cat("{type: ", meant, '}'));
    }
    if (const Node* type = node->find("type")) {
      kind = type->is_scalar() ? choice->find(type->text) : nullptr;
      if (kind == nullptr) return faults_.add_unknown_kind(*choice, *type, place);
    }
    const auto index = static_cast<std::size_t>(
        std::find(choice->kinds.begin(), choice->kinds.end(), kind) - choice->kinds.begin());
    return read_section(*kind, choice->make(value, index), node, place, choice);
  }

  bool read(const Maybe* maybe, void* value, const Node* node, const Place& place,
            const Rules* rules) {
    const bool is_null = node != nullptr && node->form == Node::Form::kNull;
    if (node == nullptr) {
      if (maybe->get(value) == nullptr) return true;
    } else if (maybe->word.empty() ? is_null : stands_for(*maybe, *node)) {
      maybe->clear(value);
      return true;
    }
    if (is_null) return faults_.add(place, node, rules->expected());
    return visit(maybe->inner, maybe->make(value), node, place, rules);
  }

  bool read(const List* list, void* value, const Node* node, const Place& place,
            const Rules* rules) {
    if (node != nullptr &&
        (!node->is_list() || (list->fixed && node->children.size() != list->size(value)))) {
      return faults_.add(place, node, cat(rules->expected(), list_example(*list, value, *node)));
    }
    if (node != nullptr) list->reset(value, node->children.size());
    bool ok = true;
    const std::size_t num_items = list->size(value);
    const Rules item_rules{rules->limits, list->item};
    for (std::size_t i = 0; i < num_items; ++i) {
      const Node* item = node == nullptr ? nullptr : &node->children[i];
      const Place below{cat(place.path, '[', i, ']'), item == nullptr ? place.mark : item->mark};
      void* const item_value = const_cast<void*>(list->at(value, i));
      ok = visit(list->item, item_value, item, below, &item_rules) && ok;
    }
    if (num_items > 0 || !rules->limits.non_empty) return ok;
    return faults_.add(place, node, rules->expected());
  }

  bool read(const Map* map, void* value, const Node* node, const Place& place, const Rules* rules) {
    if (node != nullptr && !node->is_mapping()) return faults_.add(place, node, rules->expected());
    bool ok = true;
    if (node != nullptr) {
      Node entries = *node;
      join_keys(entries, nullptr);
      map->clear(value);
      for (const Node& entry : entries.children)
        ok = read_entry(*map, value, entry, place, *rules) && ok;
    }
    if (map->size(value) > 0 || !rules->limits.non_empty) return ok;
    return faults_.add(place, node, rules->expected());
  }

  bool read(const Scalar* scalar, void* value, const Node* node, const Place& place,
            const Rules* rules) {
    if (node != nullptr) {
      const std::optional<std::string> list =
          scalar->info().takes_lists && node->is_list() ? one_line(*node) : std::nullopt;
      if (!node->is_scalar() && !list) return faults_.add(place, node, rules->expected());
      const auto refusal =
          scalar->read({list ? *list : node->text, node->form == Node::Form::kQuoted}, value);
      if (refusal) return faults_.add_refused(*node, place, *rules, *refusal);
    }
    const auto number = scalar->number(value);
    const bool is_empty =
        rules->limits.non_empty && scalar->info().is_text && scalar->write(value).empty();
    if (!is_empty && (!number || rules->limits.allow(*number))) return true;
    return faults_.add(place, node, rules->expected());
  }

  bool visit(const Type& type, void* value, const Node* node, const Place& place,
             const Rules* rules) {
    return std::visit([&](const auto* shape) { return read(shape, value, node, place, rules); },
                      type);
  }

 private:
  bool read_entry(const Map& map, void* value, const Node& entry, const Place& place,
                  const Rules& rules) {
    const Place below{dotted(place.path, printable(entry.key)), mark_of(entry)};
    for (std::size_t i = 0; i < map.size(value); ++i) {
      if (map.key(value, i) == entry.key) return faults_.add_duplicate_key(below);
    }
    const Rules value_rules{rules.limits, map.value};
    return visit(map.value, map.add(value, entry.key), &entry, below, &value_rules);
  }

  bool read_section(const Section& section, void* value, const Node* node, const Place& place,
                    const Choice* choice) {
    if (node != nullptr && !node->is_mapping())
      return faults_.add(place, node, place.path.empty() ? "a mapping" : kMappingOrNothing);
    const Row* rest = section.rest();
    bool ok = true;
    if (rest != nullptr) {
      ok = read_rest(section, *rest, value, node, place);
    } else if (node != nullptr) {
      ok = faults_.add_unknown_keys(section, *node, place, choice);
    }
    for (const Row& row : section.rows) {
      if (row.rest) continue;
      const Node* entry = node == nullptr ? nullptr : node->find(row.name);
      const Place below{dotted(place.path, row.name),
                        entry == nullptr ? place.mark : mark_of(*entry)};
      const Rules rules{row.limits, row.type, row.also_sets};
      ok = visit(row.type, const_cast<void*>(row.get(value)), entry, below, &rules) && ok;
    }
    if (!ok || section.check == nullptr) return ok;
    CheckProblems problems(report_, node, place);
    section.check(value, problems);
    return !problems.any();
  }

  bool read_rest(const Section& section, const Row& rest, void* value, const Node* node,
                 const Place& place) {
    const Rules rules{rest.limits, rest.type};
    std::optional<Node> entries;
    if (node != nullptr) {
      entries = *node;
      std::erase_if(entries->children,
                    [&](const Node& entry) { return section.find(entry.key) != nullptr; });
    }
    return visit(rest.type, const_cast<void*>(rest.get(value)), entries ? &*entries : nullptr,
                 place, &rules);
  }

  Report& report_;
  Faults faults_;
};

}  // namespace

std::string read_word(const Type& type, const Limits& limits, std::string_view text, void* value) {
  Report report;
  Node node;
  node.form = Node::Form::kPlain;
  node.text = text;
  const Rules rules{limits, type};
  Reader(report, Section{}).visit(type, value, &node, {}, &rules);
  return report.text();
}

void read_value(const Section& section, void* value, const Node& root, Report& report) {
  const Node* node = root.form == Node::Form::kNull ? nullptr : &root;
  Reader(report, section).read(&section, value, node, {"", {root.mark.source, 0, 0}}, nullptr);
}

}  // namespace sluice::config
