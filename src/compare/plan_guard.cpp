#include "compare/plan_guard.h"

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/error.h"
#include "base/text_format.h"
#include "compare/collect.h"
#include "config/names.h"
#include "report/analysis.h"

namespace sluice::compare {
namespace {

namespace fs = std::filesystem;

bool has_result(const report::CellResult& cell) {
  return cell.state == report::CellState::kFinished || cell.state == report::CellState::kDiverged;
}

bool contains(const std::vector<std::uint64_t>& seeds, std::uint64_t seed) {
  return std::find(seeds.begin(), seeds.end(), seed) != seeds.end();
}

std::string text_of(const std::vector<std::int64_t>& looks) {
  std::string text;
  for (const std::int64_t look : looks) text += cat(text.empty() ? "" : ", ", look);
  return looks.empty() ? "no looks" : cat("[", text, "]");
}

std::string text_of(const std::optional<double>& margin) {
  return margin ? short_number(*margin) : "no margin";
}

void require_same(const std::string& key, const std::string& now, const std::string& earlier) {
  require(
      now == earlier, ExitCode::kUsage, key, now,
      cat(earlier, ", as fixed before the first result; for another plan, set another run.dir"));
}

// The comparison in the directory; none if it is another one or damaged.
std::optional<report::Comparison> earlier_comparison(const std::vector<std::string>& hashes,
                                                     const fs::path& directory) {
  if (!fs::exists(directory / "comparison.json")) return std::nullopt;
  try {
    const std::vector<std::string> earlier = read_comparison(directory).variant_hashes;
    const bool is_same = std::any_of(earlier.begin(), earlier.end(), [&](const std::string& hash) {
      return std::find(hashes.begin(), hashes.end(), hash) != hashes.end();
    });
    return is_same ? std::optional(collect(std::vector<fs::path>{directory})) : std::nullopt;
  } catch (const UserError& error) {
    if (error.code() != ExitCode::kBadData) throw;
    return std::nullopt;  // rewritten by the session, with a warning
  }
}

}  // namespace

std::vector<std::string> check_plan(const CompareConfig& config,
                                    const std::vector<std::string>& variant_hashes,
                                    const fs::path& directory) {
  const auto earlier = earlier_comparison(variant_hashes, directory);
  if (!earlier) return {};
  std::vector<std::string> changes = earlier->plan_changes;
  if (std::none_of(earlier->cells.begin(), earlier->cells.end(), has_result)) return changes;
  require_same("compare.looks", text_of(looks_of(config)), text_of(earlier->looks));
  require_same("compare.spending", std::string(config::name_of(config.spending)),
               std::string(config::name_of(earlier->spending)));
  require_same("compare.margin", text_of(config.margin), text_of(earlier->margin));
  require_same("compare.tune.repeat", cat(num_groups(config)), cat(earlier->seed_groups));
  if (config.seeds == earlier->seeds) return changes;
  for (const std::uint64_t seed : earlier->seeds) {
    const bool is_known = std::any_of(
        earlier->cells.begin(), earlier->cells.end(),
        [&](const report::CellResult& cell) { return cell.seed == seed && has_result(cell); });
    if (is_known && !contains(config.seeds, seed))
      changes.push_back(cat("seed ", seed, " was removed after it had results"));
  }
  const report::Analysis analysis = report::analyze(*earlier);
  const bool adds = std::any_of(config.seeds.begin(), config.seeds.end(), [&](std::uint64_t seed) {
    return !contains(earlier->seeds, seed);
  });
  if (adds && analysis.is_tested() && !analysis.summary.is_powerless())
    changes.push_back(cat("seeds were added after a verdict on ", analysis.compared_seeds().size(),
                          " seeds was possible"));
  return changes;
}

}  // namespace sluice::compare
