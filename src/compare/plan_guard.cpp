#include "compare/plan_guard.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/text_format.h"
#include "compare/collect.h"
#include "compare/comparison_file.h"
#include "compare/grid.h"
#include "compare/plan_text.h"
#include "compare/tuning.h"
#include "config/names.h"

namespace sluice::compare {
namespace {

namespace fs = std::filesystem;

bool has_result(const report::CellResult& cell) {
  return report::has_ended(cell.state) || has_evaluation(cell.held_out);
}

bool has_any_result(const report::Comparison& comparison) {
  return std::any_of(comparison.cells.begin(), comparison.cells.end(), has_result);
}

bool has_tuning_result(const report::Comparison& comparison) {
  return std::any_of(comparison.tuning.begin(), comparison.tuning.end(),
                     [](const auto& point) { return !point.log_perplexity.empty(); });
}

// Whether all runs with a result tell under which seeds and variants they were made. Those of
// earlier versions do not.
bool has_whole_plans(const report::Comparison& comparison) {
  return std::all_of(comparison.cells.begin(), comparison.cells.end(), [](const auto& cell) {
    return !has_result(cell) || is_whole_plan(cell.plan);
  });
}

template <class T>
bool contains(const std::vector<T>& values, const T& value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

constexpr std::string_view kAfterwards = " after results were known";

std::string text_of(const std::vector<std::int64_t>& looks) {
  return looks.empty() ? "no looks" : in_brackets(looks);
}

std::string text_of(const std::optional<double>& margin) {
  return margin ? short_number(*margin) : "no margin";
}

void require_same(const std::string& key, const std::string& now, const std::string& earlier) {
  require(now == earlier, ExitCode::kUsage, key, now.empty() ? "none" : now,
          cat(earlier.empty() ? "none" : earlier,
              ", as fixed before the first result; for another plan, set another run.dir"));
}

struct Earlier {
  report::Comparison comparison;
  std::vector<std::string> recorded_changes;  // by comparison.json
};

// The comparison in the directory; none if it is another one or damaged.
std::optional<Earlier> earlier_comparison(const std::vector<std::string>& hashes,
                                          const fs::path& directory) {
  if (!fs::exists(directory / "comparison.json")) return std::nullopt;
  try {
    const ComparisonFile file = read_comparison(directory);
    const bool is_same = std::any_of(
        file.variant_hashes.begin(), file.variant_hashes.end(), [&](const std::string& hash) {
          return std::find(hashes.begin(), hashes.end(), hash) != hashes.end();
        });
    if (!is_same) return std::nullopt;
    return Earlier{collect(std::vector<fs::path>{directory}), file.comparison.plan_changes};
  } catch (const UserError& error) {
    if (error.code() != ExitCode::kBadData) throw;
    return std::nullopt;  // rewritten by the session, with a warning
  }
}

// Refuses other tuning than that under which there are results.
void require_same_tuning(const CompareConfig& config, const report::Comparison& earlier) {
  // Empty if an earlier version wrote it.
  if (!earlier.tuning_plan.empty() || earlier.tuning_note.empty())
    require_same("compare.tune", tuning_plan(config.tune), earlier.tuning_plan);
}

// Refuses another rule than the one under which there are results.
void require_same_rules(const CompareConfig& config, const report::Comparison& earlier) {
  require_same("compare.metric", std::string(config::name_of(config.metric)),
               std::string(config::name_of(earlier.metric)));
  require_same("compare.average_last", cat(config.average_last.value_or(1)),
               cat(earlier.average_last.value_or(1)));
  require_same("compare.baseline", report::label_of(expand(config.vary).at(baseline_of(config))),
               report::label_of(earlier.variants[earlier.baseline].settings));
  require_same("compare.looks", text_of(looks_of(config)), text_of(earlier.looks));
  require_same("compare.tune.repeat", cat(num_groups(config)), cat(earlier.seed_groups));
  if (!earlier.looks.empty() || earlier.seed_groups > 1)
    require_same("compare.seeds", in_brackets(config.seeds), in_brackets(earlier.seeds));
  require_same("compare.spending", std::string(config::name_of(config.spending)),
               std::string(config::name_of(earlier.spending)));
  require_same("compare.margin", text_of(config.margin), text_of(earlier.margin));
  require_same_tuning(config, earlier);
}

void add_removed(const CompareConfig& config, const report::Comparison& earlier,
                 std::vector<std::string>& changes) {
  const std::vector<report::Settings> grid = expand(config.vary);
  for (const report::Variant& variant : earlier.variants)
    if (!contains(grid, variant.settings))
      add_once(changes, cat(report::label_of(variant.settings), " was removed", kAfterwards));
  for (const std::uint64_t seed : earlier.seeds)
    if (!contains(config.seeds, seed))
      add_once(changes, cat("seed ", seed, " was removed", kAfterwards));
}

void add_added(const CompareConfig& config, const report::Comparison& earlier,
               std::vector<std::string>& changes) {
  for (const report::Settings& settings : expand(config.vary)) {
    const bool is_new = std::none_of(earlier.variants.begin(), earlier.variants.end(),
                                     [&](const auto& one) { return one.settings == settings; });
    if (is_new) add_once(changes, cat(report::label_of(settings), " was added", kAfterwards));
  }
  const bool has_new = std::any_of(config.seeds.begin(), config.seeds.end(),
                                   [&](std::uint64_t s) { return !contains(earlier.seeds, s); });
  if (has_new)
    add_once(changes, cat("seeds were added to the planned ", earlier.seeds.size(), kAfterwards));
}

}  // namespace

void add_once(std::vector<std::string>& changes, std::string change) {
  if (std::find(changes.begin(), changes.end(), change) == changes.end())
    changes.push_back(std::move(change));
}

std::vector<std::string> check_plan(const CompareConfig& config,
                                    const std::vector<std::string>& variant_hashes,
                                    const fs::path& directory) {
  const std::optional<Earlier> found = earlier_comparison(variant_hashes, directory);
  if (!found) return {};
  const report::Comparison& earlier = found->comparison;
  std::vector<std::string> recorded = found->recorded_changes;
  if (has_tuning_result(earlier)) require_same_tuning(config, earlier);
  if (!has_any_result(earlier)) return recorded;
  require_same_rules(config, earlier);
  std::vector<std::string> changes;
  add_removed(config, earlier, changes);
  if (!is_powerless(earlier.seeds, earlier.seed_groups)) add_added(config, earlier, changes);
  for (std::string& change : changes) {
    log::warn(cat(directory.string(), ": ", change, "; its error rate no longer holds"));
    if (!has_whole_plans(earlier)) add_once(recorded, std::move(change));
  }
  return recorded;
}

}  // namespace sluice::compare
