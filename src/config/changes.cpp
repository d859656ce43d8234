#include <string>

#include "base/text_format.h"
#include "config/config.h"
#include "config/dotted.h"
#include "config/write.h"

namespace sluice::config {
namespace {

// The two values of one member.
struct Pair {
  const void* before;
  const void* after;
};

// Walks both values in parallel. Rows without `affects` inherit it from their section.
class Comparer {
 public:
  std::vector<Change> take() { return std::move(changes_); }

  void compare_rows(const Section& section, const Pair& values, const std::string& path,
                    Affects affects) {
    for (const Row& row : section.rows) {
      const std::string below = dotted(path, row.name);
      visit(row.type, {row.get(values.before), row.get(values.after)}, below,
            row.affects.value_or(affects));
    }
  }

 private:
  void visit(const Type& type, const Pair& values, const std::string& path, Affects affects) {
    std::visit([&](const auto* shape) { compare(shape, values, path, affects); }, type);
  }

  void compare(const Section* section, const Pair& values, const std::string& path,
               Affects affects) {
    compare_rows(*section, values, path, affects);
  }

  void compare(const Choice* choice, const Pair& values, const std::string& path, Affects affects) {
    const Section& before = *choice->kinds[choice->index(values.before)];
    const Section& after = *choice->kinds[choice->index(values.after)];
    if (&before != &after) {
      store(path + ".type", std::string(before.kind), std::string(after.kind), affects);
    } else {
      compare_rows(before, {choice->get(values.before), choice->get(values.after)}, path, affects);
    }
  }

  void compare(const Maybe* maybe, const Pair& values, const std::string& path, Affects affects) {
    const Pair inner{maybe->get(values.before), maybe->get(values.after)};
    if (inner.before != nullptr && inner.after != nullptr)
      return visit(maybe->inner, inner, path, affects);
    compare_text(maybe, values, path, affects);
  }

  void compare(const List* list, const Pair& values, const std::string& path, Affects affects) {
    compare_text(list, values, path, affects);
  }

  void compare(const Map* map, const Pair& values, const std::string& path, Affects affects) {
    compare_text(map, values, path, affects);
  }

  void compare(const Scalar* scalar, const Pair& values, const std::string& path, Affects affects) {
    compare_text(scalar, values, path, affects);
  }

  // Comparing text is exact because written values read back exactly.
  void compare_text(const Type& type, const Pair& values, const std::string& path,
                    Affects affects) {
    std::string before = write_flow(type, values.before);
    std::string after = write_flow(type, values.after);
    if (before != after) store(path, std::move(before), std::move(after), affects);
  }

  void store(std::string path, std::string before, std::string after, Affects affects) {
    changes_.push_back({.path = std::move(path),
                        .before = std::move(before),
                        .after = std::move(after),
                        .affects = affects});
  }

  std::vector<Change> changes_;
};

}  // namespace

std::vector<Change> find_changes(const Section& section, const void* before, const void* after) {
  Comparer comparer;
  comparer.compare_rows(section, {before, after}, "", Affects::kWeights);
  return comparer.take();
}

}  // namespace sluice::config
