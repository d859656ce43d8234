// Runs cells in parallel, in child processes or as threads of one, and updates their records.
//
// A cell that diverges or fails is recorded; the others continue. A stop request (base/signals.h)
// is forwarded to all runs; no new ones are started, and all running ones are waited for.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "compare/cell.h"
#include "compare/executor.h"

namespace sluice::compare {

struct RunnerOptions {
  int num_jobs = 1;
  double log_interval_s = 60;             // between progress lines if stderr is not a terminal
  std::string title;                      // "tuning"; empty for the comparison itself
  std::string plan{};                     // plan_text(); stored with each run
  Environment environment{};              // of each child
  std::optional<WorkerCommand> worker{};  // runs are threads of this process
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
};

// Runs all cells that are not done yet. Failed cells are run again.
Tally run_cells(std::span<const Cell> cells, const RunFactory& factory,
                const RunnerOptions& options);

// Whether the run succeeded and has a readable result.
bool is_finished(const Cell& cell, const CellRecord& record);
// Whether the cell is finished or diverged; such a cell is not run again.
bool is_done(const Cell& cell, const CellRecord& record);

}  // namespace sluice::compare
