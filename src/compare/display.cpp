#include "compare/display.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text_format.h"
#include "compare/progress.h"
#include "store/checkpoint_store.h"
#include "store/run_directory.h"

namespace sluice::compare {
namespace {

constexpr double kTerminalInterval_s = 1;

std::int64_t steps_of(const Cell& cell) { return cell.facts.steps.value_or(0); }

// The step the run continues from; later steps are repeated.
std::int64_t last_saved_step(const Cell& cell) {
  const std::vector<std::int64_t> steps =
      store::CheckpointStore(store::RunPaths{cell.run_dir()}.checkpoints()).steps();
  return steps.empty() ? 0 : steps.back();
}

}  // namespace

Display::Display(std::span<const Cell> cells, const RunnerOptions& options)
    : cells_(cells), options_(options), last_shown_s_(monotonic_s()) {
  for (const Cell& cell : cells) steps_left_ += steps_of(cell);
}

void Display::skipped(std::size_t cell) {
  ++num_done_;
  steps_left_ -= steps_of(cells_[cell]);
}

void Display::started(std::size_t cell) {
  const std::int64_t step = last_saved_step(cells_[cell]);
  running_[cell] = {.started_s = monotonic_s(), .first_step = step, .step = step, .loss = {}};
  if (!log::is_terminal())
    log::info(cat(cells_[cell].label(),
                  step > 0 ? cat(": continues from step ", with_commas(step)) : ": started"));
}

void Display::ended(std::size_t cell, const std::string& outcome) {
  const Running running = running_[cell];
  running_.erase(cell);
  const double seconds = monotonic_s() - running.started_s;
  // All trained steps, saved or not: they determine the speed.
  const auto progress = last_progress(cells_[cell].run_dir() / "metrics.jsonl");
  steps_done_ += static_cast<double>((progress ? progress->step : 0) - running.first_step);
  seconds_spent_ += seconds;
  steps_left_ -= steps_of(cells_[cell]);
  num_done_ += outcome.starts_with("interrupted") ? 0 : 1;
  if (outcome.starts_with("diverged")) ++num_diverged_;
  if (outcome.starts_with("failed")) ++num_failed_;
  const std::string line = cat(cells_[cell].label(), ": ", outcome, " (", human_duration(seconds),
                               "; ", num_done_, " of ", cells_.size(), ")");
  if (outcome.starts_with("diverged") || outcome.starts_with("failed")) {
    log::warn(line);
  } else {
    log::info(line);
  }
}

void Display::refresh() {
  const double interval_s = log::is_terminal() ? kTerminalInterval_s : options_.log_interval_s;
  if (running_.empty() || monotonic_s() - last_shown_s_ < interval_s) return;
  last_shown_s_ = monotonic_s();
  update_progress();
  if (!log::is_terminal()) {
    log::info(headline());
    for (const auto& [cell, running] : running_) log::info(line_of(cell, running));
    return;
  }
  std::vector<std::string> lines{headline()};
  for (const auto& [cell, running] : running_) lines.push_back(line_of(cell, running));
  log::progress(lines);
}

void Display::update_progress() {
  for (auto& [cell, running] : running_) {
    const auto progress = last_progress(cells_[cell].run_dir() / "metrics.jsonl");
    if (!progress) continue;
    running.step = progress->step;
    running.loss = progress->loss;
  }
}

// Remaining steps divided by this session's speed, which includes evaluations and checkpoints.
std::optional<double> Display::seconds_left() const {
  double steps = steps_done_, seconds = seconds_spent_, left = static_cast<double>(steps_left_);
  for (const auto& [cell, running] : running_) {
    steps += static_cast<double>(running.step - running.first_step);
    seconds += monotonic_s() - running.started_s;
    left -= static_cast<double>(running.step);
  }
  if (steps <= 0) return std::nullopt;
  return left * seconds / steps / static_cast<double>(options_.num_jobs);
}

std::string Display::headline() const {
  const std::size_t num_waiting = cells_.size() - num_done_ - running_.size();
  const auto left = seconds_left();
  return cat(options_.title.empty() ? "" : cat(options_.title, ": "), "cells: ", num_done_, " of ",
             cells_.size(), " done, ", running_.size(), " running, ", num_waiting, " waiting",
             num_diverged_ > 0 ? cat(", ", num_diverged_, " diverged") : "",
             num_failed_ > 0 ? cat(", ", num_failed_, " failed") : "",
             left ? cat("; about ", human_duration(*left), " left") : "");
}

std::string Display::line_of(std::size_t cell, const Running& running) const {
  const std::int64_t steps = steps_of(cells_[cell]);
  return cat("  ", cells_[cell].label(), ": step ", with_commas(running.step),
             steps > 0 ? cat(" of ", with_commas(steps)) : "",
             running.loss ? cat(", loss ", fixed(*running.loss, 4)) : "");
}

}  // namespace sluice::compare
