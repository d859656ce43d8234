#include "report/wording.h"

#include <algorithm>

#include "base/text_format.h"
#include "report/text.h"
#include "stats/sign_flip.h"

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

std::string powerless_text(const Analysis& analysis) {
  const stats::Summary& summary = analysis.summary;
  const std::string smallest =
      cat("with ", summary.blocks.size(), " ", units(analysis),
          ": the smallest p of the sign-flip test is ", fixed(summary.smallest_p.value_or(1), 4));
  return summary.look
             ? cat(smallest, ", above the level of this look, ", fixed(summary.test_level, 4))
             : cat(smallest, ", so at least ", stats::min_seeds(summary.level), " ",
                   units(analysis), " are needed");
}

std::string interval_percent(const Analysis& analysis) {
  return short_number(100 * (1 - analysis.summary.test_level));
}

std::string units(const Analysis& analysis) { return analysis.summary.unit + "s"; }

std::string better_text(const Analysis& analysis, const stats::Difference& difference,
                        std::string_view unit) {
  const stats::Interval rate = difference.better_rate.value();
  return cat(difference.num_better, " of ", analysis.summary.blocks.size(), unit.empty() ? "" : " ",
             unit, " (", fixed(100 * rate.low, 0), "–", fixed(100 * rate.high, 0), " %)");
}

std::string seeds_to_decide_text(const Analysis& analysis, const stats::Difference& difference) {
  return difference.seeds_to_decide ? cat("about ", with_commas(*difference.seeds_to_decide), " ",
                                          units(analysis), " would decide with 80 % probability")
                                    : "";
}

std::optional<std::int64_t> seeds_to_decide(const Analysis& analysis,
                                            const stats::Difference& difference) {
  const auto size = static_cast<std::int64_t>(analysis.columns.front().size());
  return difference.seeds_to_decide ? std::optional(*difference.seeds_to_decide * size)
                                    : std::nullopt;
}

std::string early_text(const Comparison& comparison, const Analysis& analysis, std::size_t v) {
  const auto& difference = analysis.summary.variants[v].difference;
  const auto found = difference ? difference->found_at_look : std::nullopt;
  if (!found || !analysis.summary.look || *found >= *analysis.summary.look) return "";
  return cat("decided at look ", *found + 1, ", on ", comparison.looks.at(*found),
             " seeds; the figures are those of ", analysis.compared_seeds().size(), " seeds");
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
