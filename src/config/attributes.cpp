// Queries on the field attributes Affects and Path (field.h).
#include "base/text_format.h"
#include "config/config.h"
#include "config/dotted.h"

namespace sluice::config {
namespace {

// The section, or the active alternative of a variant, that a type holds; nullptr if none.
std::pair<const Section*, void*> section_in(const Type& type, void* value) {
  if (const auto* section = std::get_if<const Section*>(&type)) return {*section, value};
  if (const auto* choice = std::get_if<const Choice*>(&type))
    return {(*choice)->kinds[(*choice)->index(value)],
            (*choice)->make(value, (*choice)->index(value))};
  const auto* maybe = std::get_if<const Maybe*>(&type);
  if (maybe == nullptr || (*maybe)->get(value) == nullptr) return {};
  return section_in((*maybe)->inner, (*maybe)->make(value));
}

// Calls `visit(row, member, dotted path)` for each row with a Path.
template <class Visit>
void for_each_path_row(const Section& section, void* value, const std::string& path,
                       const Visit& visit) {
  for (const Row& row : section.rows) {
    void* const member = const_cast<void*>(row.get(value));
    const std::string below = dotted(path, row.name);
    if (row.path) visit(row, member, below);
    if (const auto [inner, inner_value] = section_in(row.type, member); inner != nullptr)
      for_each_path_row(*inner, inner_value, below, visit);
  }
}

// Calls `visit` for each string of a member.
template <class Visit>
void for_each_text(const Type& type, void* value, const Visit& visit) {
  if (const auto* list = std::get_if<const List*>(&type)) {
    for (std::size_t i = 0; i < (*list)->size(value); ++i)
      visit(*static_cast<std::string*>(const_cast<void*>((*list)->at(value, i))));
  } else if (const auto* maybe = std::get_if<const Maybe*>(&type)) {
    if ((*maybe)->get(value) != nullptr)
      for_each_text((*maybe)->inner, (*maybe)->make(value), visit);
  } else {
    visit(*static_cast<std::string*>(value));
  }
}

// All sections that a type can hold.
std::vector<const Section*> sections_in(const Type& type) {
  if (const auto* section = std::get_if<const Section*>(&type)) return {*section};
  if (const auto* choice = std::get_if<const Choice*>(&type)) return (*choice)->kinds;
  const auto* maybe = std::get_if<const Maybe*>(&type);
  return maybe == nullptr ? std::vector<const Section*>{} : sections_in((*maybe)->inner);
}

std::optional<Affects> affects_in(const Section& section, std::string_view path,
                                  Affects section_affects) {
  const std::size_t dot = path.find('.');
  const Row* row = section.find(path.substr(0, dot));
  if (row == nullptr) return std::nullopt;
  const Affects affects = row->affects.value_or(section_affects);
  if (dot == std::string_view::npos) return affects;
  for (const Section* inner : sections_in(row->type))
    if (const auto found = affects_in(*inner, path.substr(dot + 1), affects)) return found;
  return path.substr(dot + 1) == "type" ? std::optional(affects) : std::nullopt;
}

}  // namespace

std::optional<Affects> find_affects(const Section& section, std::string_view path) {
  return affects_in(section, path, Affects::kWeights);
}

void visit_paths(const Section& section, void* value,
                 const std::function<void(const std::string&, std::string&)>& visit) {
  for_each_path_row(
      section, value, "", [&](const Row& row, void* member, const std::string& field) {
        for_each_text(row.type, member, [&](std::string& text) { visit(field, text); });
      });
}

void replace_paths(const Section& section, void* value) {
  std::map<std::string, std::string> defaults;
  visit_paths(section, const_cast<void*>(section.defaults()),
              [&](const std::string& field, const std::string& text) { defaults[field] = text; });
  for_each_path_row(
      section, value, "", [&](const Row& row, void* member, const std::string& field) {
        const auto* list = std::get_if<const List*>(&row.type);
        if (list != nullptr && (*list)->size(member) > 1) (*list)->reset(member, 1);
        for_each_text(row.type, member, [&](std::string& text) {
          text =
              row.path->placeholder.empty() ? defaults[field] : std::string(row.path->placeholder);
        });
      });
}

}  // namespace sluice::config
