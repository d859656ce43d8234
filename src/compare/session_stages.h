// The stages of run_session(), which session.cpp puts in order: the grid of variants and tuning
// cells, the values chosen for each variant, and comparison.json.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "compare/planner.h"
#include "compare/runner.h"
#include "compare/session.h"

namespace sluice::compare {

// Shared by the stages of a session.
struct Context {
  const SessionOptions& options;
  const Planner& planner;
  int threads = 1;  // of each run
  RunnerOptions runner;
};

// First stage: variants and tuning cells.
struct Grid {
  std::vector<PlannedVariant> variants;
  // By variant and group of seeds (compare.tune.repeat); empty without tuning.
  std::map<ChoicePlace, std::vector<Cell>> tuning_cells;
};

// Times the steps first if all variants get equal time.
Grid make_grid(const Context& context);
// The tuning cells of this session. A part begins with its share of all tuning cells; those that
// its runs need follow.
std::vector<Cell> session_tuning_cells(const Context& context, const Grid& grid);

// Second stage, before and after tuning: the values chosen for each variant and the resulting
// cells. Decisions are never revised.
struct Decision {
  // By variant and group of seeds, decided ones only; empty settings without tuning.
  std::map<ChoicePlace, report::Settings> tuned;
  // By variant and seed, decided ones only.
  std::map<Place, Cell> cells;
  // By variant and group: why it is undecided; empty if decided.
  std::map<ChoicePlace, std::string> undecided;
  std::vector<report::TuningPoint> points;
  std::vector<std::string> plan_changes;  // plan_guard.h
};

// Adds the choices that the tuning cells now allow.
Decision decide(const Context& context, const Grid& grid, Decision decision = {});
// Why variants of this session are undecided, with their places.
std::vector<std::pair<std::size_t, std::string>> undecided(const Context& context,
                                                           const Decision& decision);

// Commands of earlier sessions, if this comparison still has one of their variants.
std::vector<std::string> earlier_commands(const std::filesystem::path& directory,
                                          const std::vector<PlannedVariant>& variants);
// Adds this session's command if it is new and the session has something to run. Returns whether it
// was added.
bool add_command(std::vector<std::string>& commands, const std::string& command,
                 std::span<const Cell> cells);
// Writes comparison.json.
void write_file(const Context& context, const Grid& grid, const Decision& decision,
                const std::vector<std::string>& commands);

}  // namespace sluice::compare
