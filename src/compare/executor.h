// Where the runs of a comparison run: each in a process of its own, or several as threads of one.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "compare/child.h"

namespace sluice::compare {

// One run or measurement.
struct Job {
  std::vector<std::string> command;  // does it as a process: RunFactory::train_command
  std::filesystem::path config;      // the configuration of that command
  std::filesystem::path run_dir;     // empty: measures the steps of `config`
  std::filesystem::path output;      // its output is appended here
};

// How jobs become threads.
struct WorkerCommand {
  std::vector<std::string> command;  // RunFactory::worker_command
  std::filesystem::path output;      // what the process writes that belongs to no job
};

class Executor {
 public:
  // `number` names the job in `ended`; one that has ended may be used again.
  virtual void start(std::size_t number, const Job& job) = 0;
  struct End {
    std::size_t number = 0;
    int code = 0;  // exit code, or 128 + signal number
  };
  // Waits up to `limit_ms` for an end or a signal; returns what has ended.
  virtual std::vector<End> wait(int limit_ms) = 0;
  // Sends a signal to all jobs: a stop signal, or SIGKILL.
  virtual void stop(int signal_number) = 0;
  virtual ~Executor() = default;
};

// Without `worker`, one process per job. Otherwise threads of one process; if it ends, so do the
// jobs that it is running, with its code, and later ones start in a new process. `environment`: of
// each process. Destroying an executor kills what still runs.
std::unique_ptr<Executor> make_executor(const std::optional<WorkerCommand>& worker,
                                        const Environment& environment);

}  // namespace sluice::compare
