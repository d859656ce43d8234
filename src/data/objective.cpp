#include "data/objective.h"

#include <type_traits>
#include <utility>
#include <variant>

#include "base/text_format.h"

namespace sluice::data {
namespace {

// Calls visit(config) with the default settings of each kind.
template <class Visit>
void for_each_kind(const Visit& visit) {
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    (visit(std::variant_alternative_t<I, ObjectiveConfig>{}), ...);
  }
  (std::make_index_sequence<std::variant_size_v<ObjectiveConfig>>{});
}

}  // namespace

std::string_view kind_of(const ObjectiveConfig& config) {
  return std::visit([](const auto& c) { return std::remove_cvref_t<decltype(c)>::kind; }, config);
}

std::string kinds_that_share(bool shared) {
  std::string kinds;
  for_each_kind([&](const auto& config) {
    if (make(config, std::nullopt)->shape().shared == shared)
      kinds += cat(kinds.empty() ? "" : " or ", config.kind);
  });
  return kinds;
}

std::unique_ptr<const Objective> make_objective(const ObjectiveConfig& config,
                                                std::optional<std::int64_t> sequence_length) {
  return std::visit([&](const auto& c) { return make(c, sequence_length); }, config);
}

std::unique_ptr<const Objective> default_objective(std::string_view kind) {
  std::unique_ptr<const Objective> found;
  for_each_kind([&](const auto& config) {
    if (config.kind == kind) found = make(config, std::nullopt);
  });
  return found;
}

}  // namespace sluice::data
