#include "compare/runner.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <utility>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/stop_notice.h"
#include "base/text_format.h"
#include "base/version.h"
#include "compare/child.h"
#include "compare/display.h"
#include "compare/saved_state.h"
#include "store/run_result.h"

namespace sluice::compare {
namespace {

constexpr int kPoll_ms = 500;  // how often progress is looked at; an ending child and a signal wake us at once

std::uintmax_t size_of(const std::filesystem::path& file) {
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(file, error);
  return error ? 0 : size;
}

// Of what stands behind `begin`, where this start's output begins: the last line that says what went wrong, else the last line at all.
std::string last_words(const std::filesystem::path& output, std::uintmax_t begin) {
  constexpr std::streamoff kTailBytes = 4096;
  std::ifstream file(output, std::ios::binary | std::ios::ate);
  if (!file) return "";
  file.seekg(std::max<std::streamoff>(static_cast<std::streamoff>(begin), file.tellg() - kTailBytes));
  std::string last, error;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty()) last = line;
    if (line.starts_with("error: ")) error = line.substr(7);
  }
  return printable(error.empty() ? last : error, 400);
}

std::string how_it_ended(int code, const std::string& words) {
  if (code == 128 + 9) return "killed by SIGKILL: out of memory, or by hand";
  if (code > 128) return cat("ended by signal ", code - 128, words.empty() ? "" : cat(": ", words));
  return cat("exit code ", code, words.empty() ? "" : cat(": ", words));
}

// Why the result of a child that ended well is none; empty where it is one.
std::string fault_of_result(const Cell& cell) {
  try {
    const store::RunResult result = store::read_run_result(cell.run_dir() / "result.json");
    if (!result.figures.log_perplexity) return "the run has no held-out figure: nothing is held out, or evaluate.every_steps is never";
    if (cell.facts.steps && result.step != *cell.facts.steps) return cat("the run ended at step ", result.step, " of ", *cell.facts.steps);
    return "";
  } catch (const UserError& error) {
    return error.what();
  }
}

class Runner {
 public:
  Runner(std::span<const Cell> cells, const RunFactory& factory, const RunnerOptions& options)
      : cells_(cells), factory_(factory), options_(options), display_(cells, options) {}

  Tally run() {
    for (std::size_t i = 0; i < cells_.size(); ++i) take(i);
    while (next_ < queue_.size() || !children_.empty()) {
      if (stop_requested() && !stopping_) stop();
      while (!stopping_ && next_ < queue_.size() && children_.size() < static_cast<std::size_t>(options_.num_jobs)) start(queue_[next_++]);
      if (stopping_ && children_.empty()) break;
      wait();
      reap();
      display_.refresh();
    }
    tally_.num_waiting += queue_.size() - next_;
    tally_.interrupted = tally_.interrupted || (stopping_ && tally_.num_waiting > 0);
    return tally_;
  }

 private:
  struct Running {
    std::size_t cell = 0;
    CellRecord record;
    double started_s = 0;
    std::uintmax_t output_begin = 0;
    Child child;
  };

  // Counts what is done already and queues the rest.
  void take(std::size_t i) {
    const CellRecord record = record_of(cells_[i]);
    if (!is_settled(cells_[i], record)) return queue_.push_back(i);
    ++(record.state == CellState::kFinished ? tally_.num_finished : tally_.num_diverged);
    display_.skipped(i);
  }

  void start(std::size_t i) {
    const Cell& cell = cells_[i];
    real_files().create_directories(cell.directory);
    remove_unknown(cell);
    CellRecord record = record_of(cell);
    record.maker = cell.facts.maker;
    record.build = build_name();
    record.state = CellState::kStarted;
    record.remark.clear();
    real_files().write_atomically(cell.config_file(), cell.facts.config);
    write_record(record, cell.record_file());
    display_.started(i);
    const std::uintmax_t output_begin = size_of(cell.output_file());
    children_.push_back({i, std::move(record), monotonic_s(), output_begin,
                         Child(factory_.train_command(cell.config_file(), cell.run_dir()), cell.output_file())});
  }

  // A run whose record is damaged may have been made on another machine: it begins again.
  static void remove_unknown(const Cell& cell) {
    try {
      read_record(cell.record_file());
    } catch (const UserError& error) {
      if (error.code() != ExitCode::kBadData) throw;
      log::warn(error.what());
      real_files().remove_all(cell.run_dir());
    }
  }

  void stop() {
    stopping_ = true;
    if (children_.empty()) return;
    tell_of_stop(cat("stopping ", count_of(static_cast<std::int64_t>(children_.size()), "run"), " after ",
                     children_.size() == 1 ? "its current step" : "their current steps"));
    for (const Running& running : children_) running.child.stop(stop_signal_number());
  }

  void wait() const {
    std::vector<pollfd> ends;
    for (const Running& running : children_) ends.push_back({.fd = running.child.end_descriptor(), .events = POLLIN, .revents = 0});
    const int result = ::poll(ends.data(), ends.size(), kPoll_ms);
    invariant(result >= 0 || errno == EINTR, "poll failed");
  }

  void reap() {
    for (std::size_t i = 0; i < children_.size();) {
      const auto code = children_[i].child.exit_code();
      if (!code) {
        ++i;
        continue;
      }
      settle(children_[i], *code);
      children_.erase(children_.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }

  void settle(Running& running, int code) {
    const Cell& cell = cells_[running.cell];
    CellRecord& record = running.record;
    record.wall_seconds = monotonic_s() - running.started_s;
    const std::string words = code == 0 ? fault_of_result(cell) : last_words(cell.output_file(), running.output_begin);
    std::string shown;
    if (code == 0 && words.empty()) {
      record.state = CellState::kFinished;
      shown = "finished";
      ++tally_.num_finished;
    } else if (code == static_cast<int>(ExitCode::kDiverged)) {
      record.state = CellState::kDiverged;
      record.remark = words;
      shown = cat("diverged: ", words);
      ++tally_.num_diverged;
    } else if (is_stopped(code)) {
      shown = count_stopped(stopped_run(cell.run_dir(), code));
    } else {
      record.state = CellState::kFailed;
      record.remark = code == 0 ? words : how_it_ended(code, words);
      shown = cat("failed: ", record.remark);
      count_failure(code);
    }
    write_record(record, cell.record_file());
    display_.ended(running.cell, shown);
  }

  std::string count_stopped(StoppedRun stopped) {
    ++tally_.num_waiting;
    tally_.interrupted = true;
    using Kind = StoppedRun::Kind;
    ++(stopped.kind == Kind::kSaved ? tally_.num_saved : stopped.kind == Kind::kUnsaved ? tally_.num_unsaved : tally_.num_unbegun);
    return std::move(stopped.words);
  }

  void count_failure(int code) {
    constexpr int kInternal = static_cast<int>(ExitCode::kInternal);
    ++tally_.num_failed;
    const bool is_ours = code == 0 || code == kInternal || code >= 126;
    if (tally_.worst_code != kInternal) tally_.worst_code = is_ours ? kInternal : code;
  }

  std::span<const Cell> cells_;
  const RunFactory& factory_;
  RunnerOptions options_;
  Display display_;
  std::vector<std::size_t> queue_;
  std::size_t next_ = 0;
  std::vector<Running> children_;
  Tally tally_;
  bool stopping_ = false;
};

}  // namespace

bool is_finished(const Cell& cell, const CellRecord& record) {
  if (record.state != CellState::kFinished) return false;
  try {
    return store::read_run_result(cell.run_dir() / "result.json").figures.log_perplexity.has_value();
  } catch (const UserError&) {  // missing or damaged
    return false;
  }
}

bool is_settled(const Cell& cell, const CellRecord& record) { return is_finished(cell, record) || record.state == CellState::kDiverged; }

Tally run_cells(std::span<const Cell> cells, const RunFactory& factory, const RunnerOptions& options) {
  return Runner(cells, factory, options).run();
}

}  // namespace sluice::compare
