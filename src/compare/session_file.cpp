// comparison.json as a session writes it (session_stages.h).
#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/log.h"
#include "base/text_format.h"
#include "compare/comparison_file.h"
#include "compare/session_stages.h"

namespace sluice::compare {
namespace {

namespace fs = std::filesystem;

bool has_work(std::span<const Cell> cells) {
  return std::any_of(cells.begin(), cells.end(),
                     [](const Cell& cell) { return !is_done(cell, record_of(cell)); });
}

report::Variant variant_of(const PlannedVariant& planned, const report::Settings& tuned) {
  return {.settings = planned.settings, .sizes = planned.facts.sizes, .tuned = tuned};
}

void add_cells(report::Comparison& c, const Grid& grid, const Decision& decision) {
  for (std::size_t i = 0; i < grid.variants.size(); ++i) {
    for (const std::uint64_t seed : c.seeds) {
      report::CellResult& cell = c.cells.emplace_back();
      cell.settings = grid.variants[i].settings;
      cell.seed = seed;
      const auto known = decision.cells.find(std::pair(i, seed));
      if (known == decision.cells.end()) continue;  // values not chosen yet
      cell.hash = known->second.hash;
      cell.directory = cat("cells/", known->second.name);
    }
  }
}

}  // namespace

std::vector<std::string> earlier_commands(const fs::path& directory,
                                          const std::vector<PlannedVariant>& variants) {
  if (!fs::exists(directory / "comparison.json")) return {};
  try {
    ComparisonFile file = read_comparison(directory);
    for (const PlannedVariant& variant : variants) {
      const auto& hashes = file.variant_hashes;
      if (std::find(hashes.begin(), hashes.end(), variant.hash) != hashes.end())
        return std::move(file.comparison.commands);
    }
  } catch (const UserError& error) {
    log::warn(cat(error.what(), "; rewriting it without the commands of earlier sessions"));
  }
  return {};
}

bool add_command(std::vector<std::string>& commands, const std::string& command,
                 std::span<const Cell> cells) {
  if (!has_work(cells) || std::find(commands.begin(), commands.end(), command) != commands.end())
    return false;
  commands.push_back(command);
  return true;
}

void write_file(const Context& context, const Grid& grid, const Decision& decision,
                const std::vector<std::string>& commands) {
  ComparisonFile file;
  report::Comparison& c = file.comparison;
  const RunFacts& facts = grid.variants.front().facts;
  static_cast<report::ComparisonInfo&>(c) =
      info_of(context.options.config, context.options.name, context.options.config_text);
  set_objective(c, facts.objective);
  c.baseline = context.planner.baseline();
  c.tuning = decision.points;
  c.commands = commands;
  c.plan_changes = decision.plan_changes;
  const auto is_shared = [&](std::string RunFacts::*fact) {
    return std::all_of(grid.variants.begin(), grid.variants.end(),
                       [&](const PlannedVariant& v) { return v.facts.*fact == facts.*fact; });
  };
  if (is_shared(&RunFacts::data_fingerprint)) c.data_fingerprint = facts.data_fingerprint;
  if (is_shared(&RunFacts::tokenizer_hash)) c.tokenizer_hash = facts.tokenizer_hash;
  for (std::size_t i = 0; i < grid.variants.size(); ++i) {
    const auto tuned = decision.tuned.find({i, 0});
    const bool is_one_choice = c.seed_groups == 1 && tuned != decision.tuned.end();
    c.variants.push_back(
        variant_of(grid.variants[i], is_one_choice ? tuned->second : report::Settings{}));
    file.variant_hashes.push_back(grid.variants[i].hash);
    file.steps.push_back(grid.variants[i].steps);
  }
  add_cells(c, grid, decision);
  write_comparison(file, context.options.directory);
}

}  // namespace sluice::compare
