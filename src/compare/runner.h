// Runs cells side by side, each as a child process, and keeps their records.
//
// A cell that diverges or fails is recorded, and the others go on. When a stop is requested (base/signals.h) it is passed on to
// every child, no other is started, and all are waited for.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "compare/cell.h"

namespace sluice::compare {

struct RunnerOptions {
  int num_jobs = 1;
  double log_interval_s = 60;  // between lines about what runs, where the console is no terminal
  std::string title;           // "tuning"; empty for the comparison itself
};

// How the cells stand in the end.
struct Tally {
  std::size_t num_finished = 0, num_diverged = 0, num_failed = 0, num_waiting = 0;  // waiting: interrupted ones too
  int worst_code = 0;        // of the failed ones: 1 where one ended by a signal or with 1, else the last child's code
  bool interrupted = false;  // by a signal to this process or to a child
  // Runs that a signal stopped, counted among those waiting too (saved_state.h).
  std::size_t num_saved = 0, num_unsaved = 0, num_unbegun = 0;
};

// Brings every cell as far as it goes. Those that are finished or diverged already are left alone; failed ones are tried again.
Tally run_cells(std::span<const Cell> cells, const RunFactory& factory, const RunnerOptions& options);

// A run that ended well and left a result that can be read.
bool is_finished(const Cell& cell, const CellRecord& record);
// One that is not run again: finished, or diverged.
bool is_settled(const Cell& cell, const CellRecord& record);

}  // namespace sluice::compare
