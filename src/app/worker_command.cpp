#include <unistd.h>

#include <condition_variable>
#include <deque>
#include <fstream>
#include <iostream>
#include <mutex>
#include <thread>
#include <vector>

#include "app/action.h"
#include "app/commands.h"
#include "base/error.h"
#include "base/log.h"
#include "base/log_destination.h"
#include "base/shell.h"
#include "base/text_format.h"
#include "train/execution.h"

namespace sluice::app {
namespace {

struct WorkerJob {
  std::string number, config, run_dir, output;
};

std::string result_of(const WorkerJob& job, const std::string& program) {
  if (job.run_dir.empty()) return measured_plan_json({.config = job.config, .overrides = {}});
  return train_json({.config = {.config = job.config, .overrides = {}},
                     .mode = store::StartMode::kResume,
                     .run_dir = job.run_dir,
                     .command_line = cat(program, " train ", shell_path(job.config),
                                         " --resume --run-dir ", shell_path(job.run_dir)),
                     .program = program});
}

ExitCode run_job(const WorkerJob& job, const std::string& program) {
  std::shared_ptr<log::Destination> destination;
  const ExitCode opened =
      run_reporting([&] { destination = log::Destination::append_to(job.output); });
  if (opened != ExitCode::kOk) return opened;
  const log::Redirect redirect(destination);
  return run_reporting([&] {
    const std::string result = result_of(job, program);
    std::ofstream file(job.output, std::ios::app);
    file << result << std::flush;
    require(file.good(), ExitCode::kIo, job.output, "write failed; check the free space");
  });
}

// A thread runs one job after another, so that each keeps its stream of the GPU (ops/cuda.h), and
// there are no more threads than jobs that were active at the same time.
class JobThreads {
 public:
  explicit JobThreads(std::string program) : program_(std::move(program)) {}
  ~JobThreads() {
    {
      const std::lock_guard lock(mutex_);
      is_closed_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  JobThreads(const JobThreads&) = delete;
  JobThreads& operator=(const JobThreads&) = delete;

  void start(WorkerJob job) {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(job));
    if (waiting_.size() > num_idle_) {
      ++num_idle_;
      threads_.emplace_back([this] { work(); });
    }
    changed_.notify_one();
  }

 private:
  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return is_closed_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      const WorkerJob job = std::move(waiting_.front());
      waiting_.pop_front();
      --num_idle_;
      lock.unlock();
      const ExitCode code = run_job(job, program_);
      lock.lock();
      ++num_idle_;  // before the line, which lets the next job come
      std::cout << job.number << ' ' << static_cast<int>(code) << std::endl;
    }
  }

  std::string program_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<WorkerJob> waiting_;
  std::size_t num_idle_ = 0;
  bool is_closed_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace

void worker_command(const std::string& program) {
  train::use_threads(1);  // settings of the process, before there are threads
  JobThreads threads(program);
  const auto word = [](std::string& text) {
    return static_cast<bool>(std::getline(std::cin, text, '\0'));
  };
  for (WorkerJob job;
       word(job.number) && word(job.config) && word(job.run_dir) && word(job.output);)
    threads.start(job);
}

}  // namespace sluice::app
