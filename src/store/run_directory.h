// The directory of one training run: paths, locking, and start modes.
//
//   RUN/config.yaml     resolved configuration
//   RUN/run.json        versions, machine, hashes
//   RUN/log.txt         console output
//   RUN/metrics.jsonl   one JSON object per line (metrics_log.h)
//   RUN/events.out.tfevents.0.sluice
//                       the same for TensorBoard (train/tensorboard.h), unless turned off
//   RUN/checkpoints/    step-N/ (checkpoint_store.h)
//   RUN/result.json     results of a finished run (run_result.h)
//   RUN/lock            the writing process
//
// Errors: kUsage if the start mode does not allow the existing content or the directory is in use;
// kIo if it cannot be written.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/file.h"

namespace sluice::store {

inline constexpr std::string_view kEventFile = "events.out.tfevents.0.sluice";

struct RunPaths {
  fs::path root;
  fs::path config() const { return root / "config.yaml"; }
  fs::path run_json() const { return root / "run.json"; }
  fs::path log() const { return root / "log.txt"; }
  fs::path metrics() const { return root / "metrics.jsonl"; }
  // Readers look for "tfevents" and take what follows as a time, then a host.
  fs::path events() const { return root / kEventFile; }
  fs::path result() const { return root / "result.json"; }
  fs::path checkpoints() const { return root / "checkpoints"; }
  fs::path lock() const { return root / "lock"; }
};

// True if a run was started in the directory, finished or not; false if it cannot be read.
bool is_run_directory(const fs::path& path);

// Held while a process writes to a run. flock(2): the kernel releases the lock when the process
// ends, so it cannot be stale; the pid and host in the file are informational. (flock needs a
// descriptor that stays open, so this file does not use FileSystem.)
class RunLock {
 public:
  // Any number of processes may hold a shared lock, but not together with an exclusive one.
  enum class Mode { kExclusive, kShared };
  // kUsage, naming the pid and host, if another process holds the lock; kIo if the file cannot be
  // created.
  explicit RunLock(const fs::path& run_root, Mode mode = Mode::kExclusive);
  ~RunLock();
  RunLock(RunLock&& other) noexcept;
  RunLock& operator=(RunLock&& other) noexcept;

 private:
  RunLock() = default;
  int descriptor_ = -1;
};

enum class StartMode {
  kNew,     // rejects an existing run, suggesting --resume and --fresh
  kResume,  // continues the run or starts one, so that schedulers can call it in a loop
  kFresh,   // renames an existing run to NAME.old-1, NAME.old-2, ..., starts again; deletes nothing
};

// A run that this process may write to.
struct OpenRun {
  RunPaths paths;
  RunLock lock;
  bool existed = false;  // kResume found a run; it may have no checkpoint yet
  fs::path renamed_to;   // kFresh: the new path of the old run; empty if there was none
  bool made_directory = false;
};

// Creates and locks the directory. Every mode accepts an empty directory and rejects one that
// contains something other than a run.
OpenRun open_run(const fs::path& path, StartMode mode, FileSystem& file_system = real_files());

// The second part of kFresh, so that everything that may fail can come before the old run is
// renamed: open_run(path, kResume), then this, which renames the existing run, if any, and opens a
// new one in its place.
OpenRun start_over(OpenRun open, FileSystem& file_system = real_files());

// For a start that failed before writing anything: removes the lock file, and the directory if
// open_run() created it. Does nothing if there are other files. Never throws.
void abandon(OpenRun open);

}  // namespace sluice::store
