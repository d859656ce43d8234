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
#include "compare/collect.h"
#include "compare/display.h"
#include "compare/part.h"
#include "compare/saved_state.h"
#include "store/run_result.h"

namespace sluice::compare {
namespace {

// Interval of progress updates. The end of a run and signals interrupt the wait.
constexpr int kPoll_ms = 500;
// Between two attempts to start cells that other sessions run.
constexpr double kRetry_s = 1;

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

// Without its record, the environment and the plan of a run are unknown: delete it and start over.
void remove_unverifiable_run(const Cell& cell) {
  try {
    if (read_record(cell.record_file()) || !std::filesystem::exists(cell.run_dir())) return;
    log::warn(cat(cell.directory.string(), ": no cell.json; the run starts again"));
  } catch (const UserError& error) {
    if (error.code() != ExitCode::kBadData) throw;
    log::warn(error.what());
  }
  real_files().remove_all(cell.run_dir());
}

std::string count_stopped(Tally& tally, StoppedRun stopped) {
  ++tally.num_waiting;
  tally.interrupted = true;
  using Kind = StoppedRun::Kind;
  ++(stopped.kind == Kind::kSaved     ? tally.num_saved
     : stopped.kind == Kind::kUnsaved ? tally.num_unsaved
                                      : tally.num_not_started);
  return std::move(stopped.message);
}

void count_failure(Tally& tally, int code) {
  constexpr int kInternal = static_cast<int>(ExitCode::kInternal);
  ++tally.num_failed;
  const bool is_internal = code == 0 || code == kInternal || code >= 126;
  if (tally.worst_code != kInternal) tally.worst_code = is_internal ? kInternal : code;
}

// The locks of a cell that may start while other sessions run. `start` is held until its record
// says that it has started.
struct Claim {
  std::optional<store::RunLock> cell, start;
};
// nullopt if another session runs the cell; `holder` describes it.
std::optional<Claim> try_claim(const Cell& cell, const SharedRuns& shared, std::string& holder) {
  Claim claim{.cell = try_lock(cell.directory, &holder), .start = {}};
  if (!claim.cell) return std::nullopt;
  // The process of a run may outlive its session, which was killed, by a moment.
  std::error_code ignored;
  if (std::filesystem::exists(cell.run_dir(), ignored) && !try_lock(cell.run_dir(), &holder))
    return std::nullopt;
  claim.start = try_lock_start(shared.directory);
  return claim.start ? std::optional(std::move(claim)) : std::nullopt;
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
    for (std::size_t i = 0; i < cells_.size(); ++i)
      if (!count_if_done(i)) queue_.push_back(i);
    while (next_ < queue_.size() || !running_.empty() || !held_.empty()) {
      if (stop_requested() && !stopping_) stop();
      retry_held();
      while (!stopping_ && next_ < queue_.size() &&
             running_.size() < static_cast<std::size_t>(options_.num_jobs))
        start(queue_[next_++]);
      if (stopping_ && running_.empty()) break;
      for (const Executor::End& end : executor_->wait(kPoll_ms)) record_outcome(end);
      display_.refresh();
    }
    tally_.num_waiting += queue_.size() - next_ + held_.size();
    tally_.interrupted = tally_.interrupted || (stopping_ && tally_.num_waiting > 0);
    return tally_;
  }

 private:
  struct Running {
    CellRecord record;
    double started_s = 0;
    std::uintmax_t output_begin = 0;
    std::optional<store::RunLock> lock;  // of the cell, if other sessions might run it
  };

  bool count_if_done(std::size_t i) {
    const CellRecord record = record_of(cells_[i]);
    if (!is_done(cells_[i], record)) return false;
    ++(record.state == CellState::kFinished ? tally_.num_finished : tally_.num_diverged);
    display_.skipped(i);
    return true;
  }

  // With other sessions: claims the cell, unless it must not or need not start.
  std::optional<Claim> claim(std::size_t i) {
    std::optional<Claim> claim = try_claim(cells_[i], *options_.shared, holder_);
    if (!claim) held_.push_back(i);
    if (!claim || count_if_done(i)) return std::nullopt;  // done by another session meanwhile
    const std::string conflict = options_.shared->conflict(cells_[i]);
    if (conflict.empty()) return claim;
    log::warn(cat(cells_[i].label(), ": not started: ", conflict));
    if (tally_.conflict.empty()) tally_.conflict = conflict;
    return std::nullopt;
  }

  // Queues the cells again that other sessions ran.
  void retry_held() {
    if (held_.empty() || next_ < queue_.size()) return;
    if (running_.empty() && !stopping_ && !is_wait_logged_)
      log::info(cat("waiting for ", count_of(static_cast<std::int64_t>(held_.size()), "run"),
                    " of other parts: ", cells_[held_.front()].label(), " is ", holder_));
    is_wait_logged_ = running_.empty();
    if (monotonic_s() - last_retry_s_ < kRetry_s) return;
    last_retry_s_ = monotonic_s();
    queue_.insert(queue_.end(), held_.begin(), held_.end());
    held_.clear();
  }

  void start(std::size_t i) {
    const Cell& cell = cells_[i];
    real_files().create_directories(cell.directory);
    std::optional<Claim> claimed;
    if (options_.shared && !(claimed = claim(i))) return;
    remove_unverifiable_run(cell);
    CellRecord record = record_of(cell);
    record.env = cell.facts.env;
    record.build = build_name();
    // The result of an evaluated run can be guessed, so its plan stays.
    if (record.plan.empty() ||
        !has_evaluation(read_curves(cell.run_dir() / "metrics.jsonl").held_out))
      record.plan = options_.plan;
    record.state = CellState::kStarted;
    record.remark.clear();
    record.seal.reset();
    real_files().write_atomically(cell.config_file(), cell.facts.config);
    write_record(record, cell.record_file());
    display_.started(i);
    running_[i] = {std::move(record), monotonic_s(), size_of(cell.output_file()),
                   claimed ? std::move(claimed->cell) : std::nullopt};
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
      outcome = count_stopped(tally_, stopped_run(cell.run_dir(), code));
    } else {
      record.state = CellState::kFailed;
      record.remark = code == 0 ? problem : describe_exit(code, problem);
      outcome = cat("failed: ", record.remark);
      count_failure(tally_, code);
    }
    if (has_ended(record.state)) record.seal = make_seal(record, cell);
    write_record(record, cell.record_file());
    display_.ended(end.number, outcome);
  }

  std::span<const Cell> cells_;
  const RunFactory& factory_;
  RunnerOptions options_;
  Display display_;
  std::unique_ptr<Executor> executor_;
  std::vector<std::size_t> queue_;
  std::size_t next_ = 0;
  std::vector<std::size_t> held_;  // cells that other sessions run
  std::string holder_;             // of the last of them
  double last_retry_s_ = monotonic_s();
  bool is_wait_logged_ = false;
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
