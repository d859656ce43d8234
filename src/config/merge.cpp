#include "config/merge.h"

#include <optional>
#include <unordered_map>
#include <utility>

namespace sluice::config {
namespace {

// What the description specifies for a mapping; empty below an unknown key.
struct Schema {
  const Section* section = nullptr;
  const void* defaults = nullptr;
  // a Map, or a section with a rest row: keys may be dotted or nested
  bool free_keys = false;
};

std::optional<std::string_view> type_text(const Node& mapping) {
  const Node* type = mapping.find("type");
  return type != nullptr && type->is_scalar() ? std::optional<std::string_view>(type->text)
                                              : std::nullopt;
}

// Schema of the merged mapping; nullopt if `over` replaces `base` entirely.
std::optional<Schema> schema_of_choice(const Choice& choice, const void* defaults, const Node& base,
                                       const Node& over) {
  const Section& default_kind = *choice.kinds[defaults == nullptr ? 0 : choice.index(defaults)];
  const std::string_view before = type_text(base).value_or(default_kind.kind);
  if (type_text(over).value_or(before) != before) return std::nullopt;
  const Section* chosen = choice.find(before);
  if (chosen == nullptr) return Schema{};
  return Schema{chosen, chosen == &default_kind && defaults != nullptr ? choice.get(defaults)
                                                                       : chosen->defaults()};
}

std::optional<Schema> schema_of(Type type, const void* defaults, const Node& base,
                                const Node& over) {
  while (const auto* maybe = std::get_if<const Maybe*>(&type)) {
    defaults = defaults == nullptr ? nullptr : (*maybe)->get(defaults);
    type = (*maybe)->inner;
  }
  if (const auto* section = std::get_if<const Section*>(&type)) {
    return Schema{*section, defaults == nullptr ? (*section)->defaults() : defaults,
                  (*section)->rest() != nullptr};
  }
  if (std::holds_alternative<const Map*>(type)) return Schema{nullptr, nullptr, true};
  if (const auto* choice = std::get_if<const Choice*>(&type))
    return schema_of_choice(**choice, defaults, base, over);
  return Schema{};
}

void merge_mappings(Node& base, Node over, const Schema& schema);

void merge_entry(Node& base, Node over, const Schema& parent) {
  const Row* row = parent.section == nullptr ? nullptr : parent.section->find(over.key);
  std::optional<Schema> schema = Schema{};
  if (base.is_mapping() && over.is_mapping()) {
    if (row != nullptr) {
      schema = schema_of(row->type, row->get(parent.defaults), base, over);
    } else if (type_text(over).value_or(type_text(base).value_or("")) !=
               type_text(base).value_or("")) {
      schema.reset();
    }
    if (schema) return merge_mappings(base, std::move(over), *schema);
  }
  base = std::move(over);
}

void merge_mappings(Node& base, Node over, const Schema& schema) {
  if (schema.free_keys) {
    join_keys(base, schema.section);
    join_keys(over, schema.section);
  }
  std::unordered_map<std::string, std::size_t> places;
  for (std::size_t i = 0; i < base.children.size(); ++i) places.emplace(base.children[i].key, i);
  if (over.mark.source >= 0) {  // not an intermediate mapping created for an override
    base.mark = over.mark;
    base.key_mark = over.key_mark;
  }
  for (Node& entry : over.children) {
    const auto place = places.find(entry.key);
    if (place == places.end()) {
      base.children.push_back(std::move(entry));
    } else {
      merge_entry(base.children[place->second], std::move(entry), schema);
    }
  }
}

// Appends `node`, or its descendants under dotted keys if it is a non-empty mapping.
void append_joined(std::vector<Node>& entries, Node node) {
  if (!node.is_mapping() || node.children.empty()) {
    entries.push_back(std::move(node));
    return;
  }
  for (Node& child : node.children) {
    child.key = node.key + '.' + child.key;
    append_joined(entries, std::move(child));
  }
}

// The section that a value of this type is, if it is one.
const Section* section_in(const Type& type) {
  if (const auto* maybe = std::get_if<const Maybe*>(&type)) return section_in((*maybe)->inner);
  const auto* section = std::get_if<const Section*>(&type);
  return section == nullptr ? nullptr : *section;
}

// `entry: {value, key: x}` becomes `entry: value` and `key: x`, unless it has another form.
void split_value(Node& mapping, std::size_t place, std::string_view key) {
  std::vector<Node>& parts = mapping.children[place].children;
  const auto has_key = [&](const Node& part) { return part.key == key; };
  const auto is_value = [](const Node& part) { return part.form == Node::Form::kNull; };
  const auto other = std::find_if(parts.begin(), parts.end(), has_key);
  const auto value = std::find_if(parts.begin(), parts.end(), is_value);
  if (parts.size() != 2 || other == parts.end() || value == parts.end() || value == other) return;
  Node beside = std::move(*other);
  Node& entry = mapping.children[place];
  entry.form = Node::Form::kPlain;
  entry.text = std::exchange(value->key, "");
  entry.mark = value->key_mark;
  entry.children.clear();
  mapping.children.push_back(std::move(beside));
}

}  // namespace

void split_values(Node& mapping, const Section& section) {
  for (const Row& row : section.rows) {
    for (std::size_t i = 0; i < mapping.children.size(); ++i) {
      Node& entry = mapping.children[i];
      if (entry.key != row.name || !entry.is_mapping()) continue;
      if (const Section* inner = section_in(row.type)) split_values(entry, *inner);
      if (!row.also_sets.empty() && mapping.find(row.also_sets) == nullptr)
        split_value(mapping, i, row.also_sets);
      break;
    }
  }
}

void join_keys(Node& mapping, const Section* named) {
  std::vector<Node> entries;
  for (Node& entry : mapping.children) {
    if (named != nullptr && named->find(entry.key) != nullptr) {
      entries.push_back(std::move(entry));
    } else {
      append_joined(entries, std::move(entry));
    }
  }
  mapping.children = std::move(entries);
}

void merge(Node& base, Node over, const Section& section) {
  if (over.form == Node::Form::kNull) return;
  if (base.is_mapping() && over.is_mapping()) {
    split_values(over, section);
    merge_mappings(base, std::move(over), Schema{&section, section.defaults()});
  } else {
    base = std::move(over);
  }
}

}  // namespace sluice::config
