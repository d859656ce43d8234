#include "compare/comparison_file.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <sstream>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/text_format.h"
#include "compare/grid.h"
#include "compare/plan_text.h"
#include "compare/tuning.h"
#include "config/config.h"
#include "data/objective.h"

namespace sluice::compare {
namespace {

constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 28;

ComparisonFile file_from(ComparisonRecord&& r) {
  ComparisonFile file;
  report::Comparison& c = file.comparison;
  static_cast<report::ComparisonInfo&>(c) = std::move(r.info);
  set_objective(c, c.objective);
  for (ComparisonRecord::VariantRecord& one : r.variants) {
    c.variants.push_back(std::move(one.variant));
    file.variant_hashes.push_back(std::move(one.hash));
    file.steps.push_back(one.steps);
  }
  for (ComparisonRecord::CellPlace& place : r.cells) {
    report::CellResult& cell = c.cells.emplace_back();
    cell.settings = std::move(place.settings);
    cell.seed = place.seed;
    cell.hash = std::move(place.hash);
    cell.directory = std::move(place.directory);
  }
  return file;
}

ComparisonRecord record_from(const ComparisonFile& file) {
  const report::Comparison& c = file.comparison;
  ComparisonRecord r{.info = c};
  for (std::size_t i = 0; i < c.variants.size(); ++i)
    r.variants.push_back({c.variants[i], file.variant_hashes.at(i), file.steps.at(i)});
  for (const report::CellResult& cell : c.cells)
    r.cells.push_back({cell.settings, cell.seed, cell.hash, cell.directory});
  return r;
}

// Looks ascend from 2 to the number of seeds; the margin is above 0.
bool has_valid_plan(const report::Comparison& c) {
  std::int64_t last = 1;
  for (const std::int64_t look : c.looks) {
    if (look <= last) return false;
    last = look;
  }
  const bool reaches_end = c.looks.empty() || last == static_cast<std::int64_t>(c.seeds.size());
  return reaches_end && (!c.margin || (std::isfinite(*c.margin) && *c.margin > 0));
}

// Groups of equal size, and looks after whole groups.
bool has_valid_groups(const report::Comparison& c) {
  if (c.seed_groups == 0 || c.seeds.size() % c.seed_groups != 0) return false;
  const auto size =
      c.seed_groups == 1 ? 1 : static_cast<std::int64_t>(c.seeds.size() / c.seed_groups);
  return size > 0 && std::all_of(c.looks.begin(), c.looks.end(),
                                 [&](std::int64_t look) { return look % size == 0; });
}

// What report/ relies on: valid looks and groups, one cell per variant and seed, and tuning points
// only for these variants and groups.
bool is_consistent(const report::Comparison& c) {
  if (c.baseline >= c.variants.size() || !has_valid_plan(c) || !has_valid_groups(c)) return false;
  std::set<std::pair<report::Settings, std::uint64_t>> places;
  for (const report::Variant& variant : c.variants)
    for (const std::uint64_t seed : c.seeds) places.emplace(variant.settings, seed);
  for (const report::CellResult& cell : c.cells)
    if (places.erase(std::pair(cell.settings, cell.seed)) == 0) return false;
  std::map<report::Settings, std::size_t> num_tuned;
  for (const report::Variant& variant : c.variants)
    num_tuned[variant.settings] = variant.tuned.size();
  return places.empty() &&
         std::all_of(c.tuning.begin(), c.tuning.end(), [&](const report::TuningPoint& point) {
           const auto variant = num_tuned.find(point.settings);
           return variant != num_tuned.end() && point.group < c.seed_groups &&
                  point.candidate.size() == c.tuning.front().candidate.size() &&
                  (variant->second == 0 || variant->second == point.candidate.size());
         });
}

// The section `compare` of a whole configuration, as YAML; empty without one.
std::string compare_section(const std::string& config) {
  const std::string text = "\n" + config;
  const std::size_t start = text.find("\ncompare:\n");
  if (start == std::string::npos) return "";
  std::istringstream lines(text.substr(start + std::string_view("\ncompare:\n").size()));
  std::string section, line;
  while (std::getline(lines, line) && (line.empty() || line.starts_with("  ")))
    section += line.empty() ? "\n" : line.substr(2) + "\n";
  return section;
}

// The file repeats what its configuration says, so an edit of one of them shows.
void require_as_configured(const report::Comparison& c, const std::string& file) {
  const std::string section = compare_section(c.config);
  if (section.empty()) return;
  CompareConfig config;
  try {
    config = config::parse<CompareConfig>(section, cat(file, ": config: compare"));
  } catch (const UserError& error) {
    throw UserError(ExitCode::kBadData, error.what());
  }
  report::ComparisonInfo expected = info_of(config);
  if (c.tuning_plan.empty()) expected.tuning_plan.clear();  // of an earlier version
  const auto [change, extended] =
      compare_plans(plan_text(c), plan_text(expected, expand(config.vary), baseline_of(config)));
  require(change.empty() && extended.empty(), ExitCode::kBadData, file,
          change.empty() ? cat(extended, ", not as in its config") : cat(change, " in its config"),
          ComparisonRecord::record.expected);
}

}  // namespace

report::ComparisonInfo info_of(const CompareConfig& config, std::string name,
                               std::string config_text) {
  report::ComparisonInfo info;
  info.name = std::move(name);
  info.metric = config.metric;
  info.average_last = config.average_last;
  info.equalize = config.equalize;
  info.seeds = config.seeds;
  info.tuning_note = tuning_note(config.tune);
  info.tuning_plan = tuning_plan(config.tune);
  info.config = std::move(config_text);
  info.seed_groups = num_groups(config);
  info.looks = looks_of(config);
  info.spending = config.spending;
  info.margin = config.margin;
  return info;
}

void set_objective(report::Comparison& comparison, const std::string& kind) {
  comparison.objective = comparison.objective_title = kind;
  const auto objective = data::default_objective(kind);
  if (objective == nullptr) return;  // written by another version
  comparison.objective_title = objective->title();
  comparison.targets_are_text = objective->targets_are_text();
}

void write_comparison(const ComparisonFile& file, const std::filesystem::path& directory) {
  real_files().write_atomically(directory / "comparison.json", config::to_json(record_from(file)));
}

ComparisonFile read_comparison(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / "comparison.json";
  require(std::filesystem::exists(path), ExitCode::kMissingInput, directory.string(),
          "no comparison.json; expected the directory of a comparison (its run.dir)");
  ComparisonFile file =
      file_from(config::from_json<ComparisonRecord>(read_file(path, kMaxBytes), path.string()));
  require(is_consistent(file.comparison), ExitCode::kBadData, path.string(),
          "inconsistent variants, seeds, looks or cells", ComparisonRecord::record.expected);
  require_as_configured(file.comparison, path.string());
  return file;
}

}  // namespace sluice::compare
