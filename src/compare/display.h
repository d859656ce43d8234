// What a person sees while cells run: a live table on a terminal, plain lines at intervals elsewhere.
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

  void skipped(std::size_t cell);  // it was finished or diverged before this session
  void started(std::size_t cell);
  // `what`: "finished", "diverged: ..."; one line.
  void ended(std::size_t cell, const std::string& what);
  // Cheap; shows something at most once a second, or once per interval where there is no terminal.
  void refresh();

 private:
  struct Running {
    double started_s = 0;
    std::int64_t first_step = 0;  // where it goes on
    std::int64_t step = 0;
    std::optional<double> loss;
  };
  void read_progress();
  std::string headline() const;
  std::string line_of(std::size_t cell, const Running& running) const;
  std::optional<double> seconds_left() const;

  std::span<const Cell> cells_;
  RunnerOptions options_;
  std::map<std::size_t, Running> running_;
  std::size_t num_done_ = 0, num_diverged_ = 0, num_failed_ = 0;
  std::int64_t steps_left_ = 0;                // of the cells that have not ended, as if none had begun
  double steps_done_ = 0, seconds_spent_ = 0;  // of the children that ended in this session
  double shown_s_ = 0;
};

}  // namespace sluice::compare
