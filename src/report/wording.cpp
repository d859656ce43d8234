#include "report/wording.h"

#include <algorithm>

#include "base/text_format.h"

namespace sluice::report {

std::string listed(const std::vector<std::string>& names, std::string_view many) {
  constexpr std::size_t kMaxListed = 12;
  if (names.size() > kMaxListed) return cat(names.size(), " ", many);
  const bool has_commas = std::any_of(names.begin(), names.end(), [](const std::string& name) {
    return name.find(',') != std::string::npos;
  });
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    text.append(i == 0                  ? ""
                : i + 1 == names.size() ? " and "
                : has_commas            ? "; "
                                        : ", ")
        .append(names[i]);
  }
  return text;
}

std::string seeds_text(const std::vector<std::uint64_t>& seeds) {
  std::vector<std::string> names;
  for (const std::uint64_t seed : seeds) names.push_back(std::to_string(seed));
  const std::string list = listed(names, "seeds");
  return list.ends_with(" seeds") ? list : cat(seeds.size() == 1 ? "seed " : "seeds ", list);
}

std::vector<std::uint64_t> waiting_seeds(const Comparison& comparison, const Analysis& analysis,
                                         std::size_t variant) {
  std::vector<std::uint64_t> seeds;
  for (std::size_t s = 0; s < comparison.seeds.size(); ++s) {
    const CellResult* cell = analysis.grid[variant][s];
    if (cell == nullptr || cell->state == CellState::kWaiting) seeds.push_back(comparison.seeds[s]);
  }
  return seeds;
}

std::vector<std::uint64_t> seeds_without_learning(const Comparison& comparison,
                                                  const Analysis& analysis, std::size_t variant) {
  std::vector<std::uint64_t> seeds;
  for (std::size_t s = 0; s < comparison.seeds.size(); ++s) {
    const CellResult* cell = analysis.grid[variant][s];
    if (cell != nullptr && did_not_learn(*cell)) seeds.push_back(comparison.seeds[s]);
  }
  return seeds;
}

bool is_rate_tuned(const Comparison& comparison) {
  return comparison.tuning_note.find(kRate) != std::string::npos;
}

bool varies(const Comparison& comparison, std::string_view key) {
  const Settings& settings = comparison.variants.front().settings;
  return std::any_of(settings.begin(), settings.end(),
                     [&](const auto& setting) { return setting.first == key; });
}

}  // namespace sluice::report
