// Progress of running cells: a live table on a terminal, otherwise periodic log lines.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "compare/cell.h"
#include "compare/runner.h"

namespace sluice::compare {

class Display {
 public:
  Display(std::span<const Cell> cells, const RunnerOptions& options);

  void skipped(std::size_t cell);  // finished or diverged before this session
  void started(std::size_t cell);
  // `outcome`: "finished", "diverged: ..." and so on, one line.
  void ended(std::size_t cell, const std::string& outcome);
  // Cheap. Updates a terminal at most once a second, otherwise logs once per log interval.
  void refresh();

 private:
  struct Running {
    double started_s = 0;
    std::int64_t first_step = 0;  // step of the checkpoint it continues from
    std::int64_t step = 0;
    std::optional<double> loss;
  };
  void update_progress();
  std::string headline() const;
  std::string line_of(std::size_t cell, const Running& running) const;
  std::optional<double> seconds_left() const;

  std::span<const Cell> cells_;
  RunnerOptions options_;
  std::map<std::size_t, Running> running_;
  std::size_t num_done_ = 0, num_diverged_ = 0, num_failed_ = 0;
  std::int64_t steps_left_ = 0;  // all steps of cells that have not ended, running ones included
  double steps_done_ = 0, seconds_spent_ = 0;  // of the children that ended in this session
  double last_shown_s_ = 0;
};

}  // namespace sluice::compare
