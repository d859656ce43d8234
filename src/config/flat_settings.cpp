#include "config/flat_settings.h"

#include <algorithm>

#include "config/dotted.h"
#include "config/write.h"

namespace sluice::config {
namespace {

class Lister {
 public:
  FlatSettings take() { return std::move(settings_); }

  void list_rows(const Section& section, const void* value, const std::string& path) {
    for (const Row& row : section.rows) {
      const void* member = row.get(value);
      std::visit([&](const auto* type) { list(type, member, dotted(path, row.name)); }, row.type);
    }
  }

 private:
  void list(const Section* section, const void* value, const std::string& path) {
    list_rows(*section, value, path);
  }

  void list(const Choice* choice, const void* value, const std::string& path) {
    const Section& section = *choice->kinds[choice->index(value)];
    settings_.emplace_back(dotted(path, "type"), section.kind);
    list_rows(section, choice->get(value), path);
  }

  void list(const Maybe* maybe, const void* value, const std::string& path) {
    const void* inner = maybe->get(value);
    if (inner == nullptr) return settings_.push_back({path, write_flow(maybe, value)});
    std::visit([&](const auto* type) { list(type, inner, path); }, maybe->inner);
  }

  template <class Other>  // lists, mappings with free keys, scalars
  void list(const Other* type, const void* value, const std::string& path) {
    settings_.emplace_back(path, write_flow(type, value));
  }

  FlatSettings settings_;
};

class PathLister {
 public:
  std::vector<SettingPath> take() { return std::move(paths_); }

  void list_rows(const Section& section, const std::string& path) {
    for (const Row& row : section.rows)
      if (!row.rest) list_type(row.type, dotted(path, row.name));
  }

 private:
  void list_type(const Type& type, const std::string& path) {
    std::visit([&](const auto* one) { list(one, path); }, type);
  }

  void list(const Section* section, const std::string& path) { list_rows(*section, path); }

  void list(const Choice* choice, const std::string& path) {
    for (const Section* kind : choice->kinds) {
      add(dotted(path, "type"), std::string(kind->kind));
      list_rows(*kind, path);
    }
  }

  void list(const Maybe* maybe, const std::string& path) {
    list_type(maybe->inner, path);
    add(path, maybe->word.empty() ? "null" : std::string(maybe->word));
  }

  void list(const List*, const std::string& path) { add(path); }
  void list(const Map*, const std::string& path) { add(path); }

  void list(const Scalar* scalar, const std::string& path) {
    const ScalarInfo info = scalar->info();
    add(path);
    for (const Option& option : info.options) add(path, std::string(option.name));
    if (info.json_type == "boolean")
      for (const char* word : {"true", "false"}) add(path, word);
  }

  // `value`: one more value of the path; empty: none.
  void add(const std::string& path, const std::string& value = "") {
    auto found = std::find_if(paths_.begin(), paths_.end(),
                              [&](const SettingPath& one) { return one.path == path; });
    if (found == paths_.end()) found = paths_.insert(found, {path, {}});
    const bool is_known =
        std::find(found->values.begin(), found->values.end(), value) != found->values.end();
    if (!value.empty() && !is_known) found->values.push_back(value);
  }

  std::vector<SettingPath> paths_;
};

}  // namespace

std::vector<SettingPath> list_paths(const Section& section) {
  PathLister lister;
  lister.list_rows(section, "");
  return lister.take();
}

FlatSettings list_settings(const Section& section, const void* value) {
  Lister lister;
  lister.list_rows(section, value, "");
  return lister.take();
}

}  // namespace sluice::config
