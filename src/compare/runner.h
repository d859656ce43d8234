// Runs cells in parallel, in child processes or as threads of one, and updates their records.
//
// A cell that diverges or fails is recorded; the others continue. A stop request (base/signals.h)
// is forwarded to all runs; no new ones are started, and all running ones are waited for.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "compare/cell.h"
#include "compare/executor.h"

namespace sluice::compare {

// Other sessions run cells of this comparison at the same time (part.h).
struct SharedRuns {
  std::filesystem::path directory;  // of the comparison
  // Why a cell must not start, given the runs of other sessions; empty if it may. Called while no
  // other session decides the same.
  std::function<std::string(const Cell&)> conflict;
};

struct RunnerOptions {
  int num_jobs = 1;
  double log_interval_s = 60;             // between progress lines if stderr is not a terminal
  std::string title;                      // "tuning"; empty for the comparison itself
  std::string plan{};                     // plan_text(); stored with each run
  Environment environment{};              // of each child
  std::optional<WorkerCommand> worker{};  // runs are threads of this process
  std::optional<SharedRuns> shared{};     // nullopt: no other session runs cells
};

// Final states of the cells.
struct Tally {
  // num_waiting includes interrupted cells.
  std::size_t num_finished = 0, num_diverged = 0, num_failed = 0, num_waiting = 0;
  // Of the failed cells: 1 for a crash or internal error, otherwise the exit code of the last one.
  int worst_code = 0;
  bool interrupted = false;  // by a signal to this process or to a child
  // Interrupted cells by StoppedRun::Kind (saved_state.h).
  std::size_t num_saved = 0, num_unsaved = 0, num_not_started = 0;
  std::string conflict{};  // SharedRuns::conflict of the first cell that did not start for it
};

// Runs all cells that are not done yet. Failed cells are run again. With `shared`, a cell that
// another session runs is waited for, and run here if that session ends without finishing it.
Tally run_cells(std::span<const Cell> cells, const RunFactory& factory,
                const RunnerOptions& options);

// Whether the run succeeded and has a readable result.
bool is_finished(const Cell& cell, const CellRecord& record);
// Whether the cell is finished or diverged; such a cell is not run again.
bool is_done(const Cell& cell, const CellRecord& record);

}  // namespace sluice::compare
