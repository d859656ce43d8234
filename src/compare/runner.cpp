#include "compare/runner.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <utility>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/stop_notice.h"
#include "base/text_format.h"
#include "base/version.h"
#include "compare/display.h"
#include "compare/saved_state.h"
#include "store/run_result.h"

namespace sluice::compare {
namespace {

// Interval of progress updates. The end of a run and signals interrupt the wait.
constexpr int kPoll_ms = 500;

std::uintmax_t size_of(const std::filesystem::path& file) {
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(file, error);
  return error ? 0 : size;
}

// The last "error: " line after `begin`, the start of this run's output; otherwise the last line.
std::string last_message(const std::filesystem::path& output, std::uintmax_t begin) {
  constexpr std::streamoff kMessageBytes = 4096;
  std::ifstream file(output, std::ios::binary | std::ios::ate);
  if (!file) return "";
  file.seekg(
      std::max<std::streamoff>(static_cast<std::streamoff>(begin), file.tellg() - kMessageBytes));
  std::string last, error;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty()) last = line;
    if (line.starts_with("error: ")) error = line.substr(7);
  }
  return printable(error.empty() ? last : error, 400);
}

std::string describe_exit(int code, const std::string& message) {
  if (code == 128 + 9) return "killed by SIGKILL, possibly out of memory";
  const std::string reason = message.empty() ? "" : cat(": ", message);
  if (code > 128) return cat("terminated by signal ", code - 128, reason);
  return cat("exit code ", code, reason);
}

// Why the result of a run with exit code 0 is unusable; empty if it is usable.
std::string result_problem(const Cell& cell) {
  try {
    const store::RunResult result = store::read_run_result(cell.run_dir() / "result.json");
    if (!result.figures.log_perplexity)
      return "the run has no held-out result: no held-out data, or evaluate.every_steps is never";
    if (cell.facts.steps && result.step != *cell.facts.steps)
      return cat("the run ended at step ", result.step, " of ", *cell.facts.steps);
    return "";
  } catch (const UserError& error) {
    return error.what();
  }
}

// Without its record, the environment of a run is unknown: delete it and start over.
void remove_unverifiable_run(const Cell& cell) {
  try {
    read_record(cell.record_file());
  } catch (const UserError& error) {
    if (error.code() != ExitCode::kBadData) throw;
    log::warn(error.what());
    real_files().remove_all(cell.run_dir());
  }
}

class Runner {
 public:
  Runner(std::span<const Cell> cells, const RunFactory& factory, const RunnerOptions& options)
      : cells_(cells),
        factory_(factory),
        options_(options),
        display_(cells, options),
        executor_(make_executor(options.worker, options.environment)) {}

  Tally run() {
    for (std::size_t i = 0; i < cells_.size(); ++i) enqueue(i);
    while (next_ < queue_.size() || !running_.empty()) {
      if (stop_requested() && !stopping_) stop();
      while (!stopping_ && next_ < queue_.size() &&
             running_.size() < static_cast<std::size_t>(options_.num_jobs))
        start(queue_[next_++]);
      if (stopping_ && running_.empty()) break;
      for (const Executor::End& end : executor_->wait(kPoll_ms)) record_outcome(end);
      display_.refresh();
    }
    tally_.num_waiting += queue_.size() - next_;
    tally_.interrupted = tally_.interrupted || (stopping_ && tally_.num_waiting > 0);
    return tally_;
  }

 private:
  struct Running {
    CellRecord record;
    double started_s = 0;
    std::uintmax_t output_begin = 0;
  };

  // Queues the cell unless it is done.
  void enqueue(std::size_t i) {
    const CellRecord record = record_of(cells_[i]);
    if (!is_done(cells_[i], record)) return queue_.push_back(i);
    ++(record.state == CellState::kFinished ? tally_.num_finished : tally_.num_diverged);
    display_.skipped(i);
  }

  void start(std::size_t i) {
    const Cell& cell = cells_[i];
    real_files().create_directories(cell.directory);
    remove_unverifiable_run(cell);
    CellRecord record = record_of(cell);
    record.env = cell.facts.env;
    record.build = build_name();
    record.plan = options_.plan;
    record.state = CellState::kStarted;
    record.remark.clear();
    record.seal.reset();
    real_files().write_atomically(cell.config_file(), cell.facts.config);
    write_record(record, cell.record_file());
    display_.started(i);
    running_[i] = {std::move(record), monotonic_s(), size_of(cell.output_file())};
    executor_->start(i, {.command = factory_.train_command(cell.config_file(), cell.run_dir()),
                         .config = cell.config_file(),
                         .run_dir = cell.run_dir(),
                         .output = cell.output_file()});
  }

  void stop() {
    stopping_ = true;
    if (running_.empty()) return;
    log_stop(cat("stopping ", count_of(static_cast<std::int64_t>(running_.size()), "run"),
                 " after ", running_.size() == 1 ? "its current step" : "their current steps"));
    executor_->stop(stop_signal_number());
  }

  void record_outcome(const Executor::End& end) {
    const Running running = std::move(running_.extract(end.number).mapped());
    const Cell& cell = cells_[end.number];
    const int code = end.code;
    CellRecord record = running.record;
    record.wall_seconds = monotonic_s() - running.started_s;
    const std::string problem =
        code == 0 ? result_problem(cell) : last_message(cell.output_file(), running.output_begin);
    std::string outcome;
    if (code == 0 && problem.empty()) {
      record.state = CellState::kFinished;
      outcome = "finished";
      ++tally_.num_finished;
    } else if (code == static_cast<int>(ExitCode::kDiverged)) {
      record.state = CellState::kDiverged;
      record.remark = problem;
      outcome = cat("diverged: ", problem);
      ++tally_.num_diverged;
    } else if (is_stopped(code)) {
      outcome = count_stopped(stopped_run(cell.run_dir(), code));
    } else {
      record.state = CellState::kFailed;
      record.remark = code == 0 ? problem : describe_exit(code, problem);
      outcome = cat("failed: ", record.remark);
      count_failure(code);
    }
    if (record.state == CellState::kFinished || record.state == CellState::kDiverged)
      record.seal = make_seal(record, cell);
    write_record(record, cell.record_file());
    display_.ended(end.number, outcome);
  }

  std::string count_stopped(StoppedRun stopped) {
    ++tally_.num_waiting;
    tally_.interrupted = true;
    using Kind = StoppedRun::Kind;
    ++(stopped.kind == Kind::kSaved     ? tally_.num_saved
       : stopped.kind == Kind::kUnsaved ? tally_.num_unsaved
                                        : tally_.num_not_started);
    return std::move(stopped.message);
  }

  void count_failure(int code) {
    constexpr int kInternal = static_cast<int>(ExitCode::kInternal);
    ++tally_.num_failed;
    const bool is_internal = code == 0 || code == kInternal || code >= 126;
    if (tally_.worst_code != kInternal) tally_.worst_code = is_internal ? kInternal : code;
  }

  std::span<const Cell> cells_;
  const RunFactory& factory_;
  RunnerOptions options_;
  Display display_;
  std::unique_ptr<Executor> executor_;
  std::vector<std::size_t> queue_;
  std::size_t next_ = 0;
  std::map<std::size_t, Running> running_;  // by cell
  Tally tally_;
  bool stopping_ = false;
};

}  // namespace

bool is_finished(const Cell& cell, const CellRecord& record) {
  if (record.state != CellState::kFinished) return false;
  try {
    return store::read_run_result(cell.run_dir() / "result.json")
        .figures.log_perplexity.has_value();
  } catch (const UserError&) {  // missing or damaged
    return false;
  }
}

bool is_done(const Cell& cell, const CellRecord& record) {
  return is_finished(cell, record) || record.state == CellState::kDiverged;
}

Tally run_cells(std::span<const Cell> cells, const RunFactory& factory,
                const RunnerOptions& options) {
  return Runner(cells, factory, options).run();
}

}  // namespace sluice::compare
