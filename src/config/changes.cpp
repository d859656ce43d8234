#include <string>

#include "base/text_format.h"
#include "config/config.h"
#include "config/write.h"

namespace sluice::config {
namespace {

// The two values of one member.
struct Pair {
  const void* before;
  const void* after;
};

// Walks both values side by side. A rule given for a section holds for everything below that has none of its own.
class Comparer {
 public:
  std::vector<Change> take() { return std::move(changes_); }

  void compare_rows(const Section& section, const Pair& values, const std::string& path, const std::optional<MayChange>& rule) {
    for (const Row& row : section.rows) {
      const std::string below = path.empty() ? std::string(row.name) : cat(path, '.', row.name);
      visit(row.type, {row.get(values.before), row.get(values.after)}, below, row.may_change ? row.may_change : rule);
    }
  }

 private:
  void visit(const Type& type, const Pair& values, const std::string& path, const std::optional<MayChange>& rule) {
    std::visit([&](const auto* shape) { compare(shape, values, path, rule); }, type);
  }

  void compare(const Section* section, const Pair& values, const std::string& path, const std::optional<MayChange>& rule) {
    compare_rows(*section, values, path, rule);
  }

  void compare(const Choice* choice, const Pair& values, const std::string& path, const std::optional<MayChange>& rule) {
    const Section& before = *choice->kinds[choice->index(values.before)];
    const Section& after = *choice->kinds[choice->index(values.after)];
    if (&before != &after) {
      store(path + ".type", std::string(before.kind), std::string(after.kind), rule);
    } else {
      compare_rows(before, {choice->get(values.before), choice->get(values.after)}, path, rule);
    }
  }

  void compare(const Maybe* maybe, const Pair& values, const std::string& path, const std::optional<MayChange>& rule) {
    const Pair inner{maybe->get(values.before), maybe->get(values.after)};
    if (inner.before != nullptr && inner.after != nullptr) return visit(maybe->inner, inner, path, rule);
    compare_text(maybe, values, path, rule);
  }

  void compare(const List* list, const Pair& values, const std::string& path, const std::optional<MayChange>& rule) {
    compare_text(list, values, path, rule);
  }

  void compare(const Map* map, const Pair& values, const std::string& path, const std::optional<MayChange>& rule) {
    compare_text(map, values, path, rule);
  }

  void compare(const Scalar* scalar, const Pair& values, const std::string& path, const std::optional<MayChange>& rule) {
    compare_text(scalar, values, path, rule);
  }

  // Equal texts are equal values, since text reads back exactly.
  void compare_text(const Type& type, const Pair& values, const std::string& path, const std::optional<MayChange>& rule) {
    std::string before = write_flow(type, values.before);
    std::string after = write_flow(type, values.after);
    if (before != after) store(path, std::move(before), std::move(after), rule);
  }

  void store(std::string path, std::string before, std::string after, const std::optional<MayChange>& rule) {
    changes_.push_back({.path = std::move(path),
                        .before = std::move(before),
                        .after = std::move(after),
                        .may_change = rule.has_value(),
                        .bit_exact = rule.has_value() && rule->bit_exact});
  }

  std::vector<Change> changes_;
};

}  // namespace

std::vector<Change> find_changes(const Section& section, const void* before, const void* after) {
  Comparer comparer;
  comparer.compare_rows(section, {before, after}, "", std::nullopt);
  return comparer.take();
}

}  // namespace sluice::config
