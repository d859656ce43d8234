#include "config/flat_settings.h"

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

}  // namespace

FlatSettings list_settings(const Section& section, const void* value) {
  Lister lister;
  lister.list_rows(section, value, "");
  return lister.take();
}

}  // namespace sluice::config
