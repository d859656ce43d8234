#include "compare/plan_guard.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/text_format.h"
#include "compare/collect.h"
#include "compare/grid.h"
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

template <class Number>
std::string listed_in_brackets(const std::vector<Number>& numbers) {
  std::string text;
  for (const Number number : numbers) text += cat(text.empty() ? "" : ", ", number);
  return cat("[", text, "]");
}
std::string text_of(const std::vector<std::uint64_t>& seeds) { return listed_in_brackets(seeds); }
std::string text_of(const std::vector<std::int64_t>& looks) {
  return looks.empty() ? "no looks" : listed_in_brackets(looks);
}

// "KEY VALUE; KEY VALUE" as pairs.
std::vector<std::pair<std::string, std::string>> parts_of(std::string_view plan) {
  std::vector<std::pair<std::string, std::string>> parts;
  while (!plan.empty()) {
    const std::size_t end = std::min(plan.find("; "), plan.size());
    const std::string_view part = plan.substr(0, end);
    const std::size_t blank = std::min(part.find(' '), part.size());
    parts.emplace_back(part.substr(0, blank), part.substr(std::min(blank + 1, part.size())));
    plan.remove_prefix(std::min(end + 2, plan.size()));
  }
  return parts;
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

void add_once(std::vector<std::string>& changes, std::string change) {
  if (std::find(changes.begin(), changes.end(), change) == changes.end())
    changes.push_back(std::move(change));
}

std::string plan_text(const report::ComparisonInfo& info, const report::Settings& baseline) {
  std::string text =
      cat("metric ", config::name_of(info.metric), "; average_last ", info.average_last.value_or(1),
          "; baseline ", report::label_of(baseline), "; margin ",
          info.margin ? shortest(*info.margin) : "none", "; groups ", info.seed_groups, "; looks ",
          info.looks.empty() ? "none" : listed_in_brackets(info.looks));
  if (!info.looks.empty())
    text += cat("; spending ", config::name_of(info.spending), "; seeds ",
                listed_in_brackets(info.seeds));
  return text;
}

std::string plan_difference(const std::string& of_run, const std::string& of_comparison) {
  if (of_run.empty() || of_run == of_comparison) return "";
  std::string text;
  const auto ours = parts_of(of_run), theirs = parts_of(of_comparison);
  for (const auto& [key, value] : ours) {
    const auto same = std::find_if(theirs.begin(), theirs.end(),
                                   [&](const auto& one) { return one.first == key; });
    const std::string other = same == theirs.end() ? "none" : same->second;
    if (other != value)
      text += cat(text.empty() ? "" : ", ", key, " ", value, " instead of ", other);
  }
  return text.empty() ? "other looks" : text;
}

std::vector<std::string> check_plan(const CompareConfig& config,
                                    const std::vector<std::string>& variant_hashes,
                                    const fs::path& directory) {
  const auto earlier = earlier_comparison(variant_hashes, directory);
  if (!earlier) return {};
  std::vector<std::string> changes = earlier->plan_changes;
  if (std::none_of(earlier->cells.begin(), earlier->cells.end(), has_result)) return changes;
  const std::vector<report::Settings> grid = expand(config.vary);
  require_same("compare.metric", std::string(config::name_of(config.metric)),
               std::string(config::name_of(earlier->metric)));
  require_same("compare.average_last", cat(config.average_last.value_or(1)),
               cat(earlier->average_last.value_or(1)));
  require_same("compare.baseline", report::label_of(grid.at(baseline_of(config))),
               report::label_of(earlier->variants[earlier->baseline].settings));
  require_same("compare.looks", text_of(looks_of(config)), text_of(earlier->looks));
  if (!earlier->looks.empty())
    require_same("compare.seeds", text_of(config.seeds), text_of(earlier->seeds));
  require_same("compare.spending", std::string(config::name_of(config.spending)),
               std::string(config::name_of(earlier->spending)));
  require_same("compare.margin", text_of(config.margin), text_of(earlier->margin));
  require_same("compare.tune.repeat", cat(num_groups(config)), cat(earlier->seed_groups));
  for (const report::Variant& variant : earlier->variants) {
    const bool has_any = std::any_of(earlier->cells.begin(), earlier->cells.end(),
                                     [&](const report::CellResult& cell) {
                                       return cell.settings == variant.settings && has_result(cell);
                                     });
    if (has_any && std::find(grid.begin(), grid.end(), variant.settings) == grid.end())
      add_once(changes,
               cat(report::label_of(variant.settings), " was removed after it had results"));
  }
  if (config.seeds == earlier->seeds) return changes;
  for (const std::uint64_t seed : earlier->seeds) {
    const bool is_known = std::any_of(
        earlier->cells.begin(), earlier->cells.end(),
        [&](const report::CellResult& cell) { return cell.seed == seed && has_result(cell); });
    if (is_known && !contains(config.seeds, seed))
      add_once(changes, cat("seed ", seed, " was removed after it had results"));
  }
  const report::Analysis analysis = report::analyze(*earlier);
  const bool adds = std::any_of(config.seeds.begin(), config.seeds.end(), [&](std::uint64_t seed) {
    return !contains(earlier->seeds, seed);
  });
  if (adds && analysis.is_tested() && !analysis.summary.is_powerless())
    add_once(changes, cat("seeds were added after a verdict on ", analysis.compared_seeds().size(),
                          " seeds was possible"));
  return changes;
}

}  // namespace sluice::compare
