#include "config/suggest.h"

#include <algorithm>
#include <array>

#include "base/text_format.h"
#include "config/aliases.h"
#include "config/dotted.h"

namespace sluice::config {
namespace {

std::string_view parent_of(std::string_view path) {
  const std::size_t dot = path.rfind('.');
  return dot == std::string_view::npos ? "" : path.substr(0, dot);
}

std::string_view name_of(std::string_view path) {
  const std::size_t dot = path.rfind('.');
  return dot == std::string_view::npos ? path : path.substr(dot + 1);
}

void add_new(std::vector<std::string>& list, std::string_view one) {
  if (std::find(list.begin(), list.end(), one) == list.end()) list.emplace_back(one);
}

}  // namespace

KeyPaths::KeyPaths(const Section& root) { add_rows(root, ""); }

void KeyPaths::add(const std::string& path) {
  if (!has(path)) keys_.push_back({path, folded(name_of(path))});
}

void KeyPaths::add_rows(const Section& section, const std::string& path) {
  for (const Row& row : section.rows) {
    if (row.rest) continue;
    const std::string below = dotted(path, row.name);
    add(below);
    add_below(row.type, below);
  }
}

void KeyPaths::add_below(const Type& type, const std::string& path) {
  if (const auto* section = std::get_if<const Section*>(&type)) add_rows(**section, path);
  if (const auto* maybe = std::get_if<const Maybe*>(&type)) add_below((*maybe)->inner, path);
  if (const auto* choice = std::get_if<const Choice*>(&type)) {
    add(path + ".type");
    for (const Section* kind : (*choice)->kinds) add_rows(*kind, path);
  }
}

bool KeyPaths::has(std::string_view path) const {
  return std::any_of(keys_.begin(), keys_.end(), [&](const Key& key) { return key.path == path; });
}

std::vector<std::string> KeyPaths::candidates(std::string_view parent, std::string_view key) const {
  std::vector<std::string> found, here;
  const std::string wanted = folded(key);
  for (const Key& one : keys_) {
    if (!wanted.empty() && one.folded_name == wanted && wanted != "type") add_new(found, one.path);
  }
  for (const std::string_view name : names_for(AliasKind::kKey, key)) {
    if (has(name)) add_new(found, name);
  }
  const std::string path = parent.empty() ? std::string(key) : cat(parent, '.', key);
  std::erase(found, path);  // right section, but a key of another type
  for (const std::string& one : found) {
    if (parent_of(one) == parent) here.push_back(one);
  }
  return here.empty() ? found : here;
}

std::vector<std::string> KeyPaths::similar(std::string_view key) const {
  constexpr std::size_t kShortest = 5;
  std::vector<std::string> found;
  if (key.size() < kShortest) return found;
  for (const Key& one : keys_) {
    const std::string_view name = name_of(one.path);
    const std::size_t longer = std::max(name.size(), key.size());
    const std::size_t shorter = std::min(name.size(), key.size());
    if (longer - shorter > 2 || shorter < kShortest || name.front() != key.front()) continue;
    if (!nearest(key, std::array{name}).empty()) add_new(found, one.path);
  }
  return found;
}

std::string alternatives(const std::vector<std::string>& paths) {
  constexpr std::size_t kMost = 3;
  std::string text;
  const std::size_t count = std::min(paths.size(), kMost);
  for (std::size_t i = 0; i < count; ++i)
    text += cat(i == 0 ? "" : i + 1 == count ? "` or `" : "`, `", paths[i]);
  return text;
}

}  // namespace sluice::config
