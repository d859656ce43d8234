// The directory of one training run: what lies where, who may write, how one starts in it.
//
//   RUN/config.yaml      resolved configuration          RUN/metrics.jsonl   one JSON object per line (metrics_log.h)
//   RUN/run.json         versions, machine, hashes       RUN/checkpoints/    step-N/ (checkpoint_store.h)
//   RUN/log.txt          the console                     RUN/result.json     what a finished run has to show (run_result.h)
//   RUN/lock             who is writing
//
// Errors: kUsage for a start mode that does not fit what is there and for a directory in use; kIo for one that cannot be written.
#pragma once

#include <filesystem>
#include <string>

#include "base/file.h"

namespace sluice::store {

struct RunPaths {
  fs::path root;
  fs::path config() const { return root / "config.yaml"; }
  fs::path run_json() const { return root / "run.json"; }
  fs::path log() const { return root / "log.txt"; }
  fs::path metrics() const { return root / "metrics.jsonl"; }
  fs::path result() const { return root / "result.json"; }
  fs::path checkpoints() const { return root / "checkpoints"; }
  fs::path lock() const { return root / "lock"; }
};

// True for a directory that a run was started in, finished or not. Never throws for what cannot be read: false.
bool is_run_directory(const fs::path& path);

// Held while a process writes to a run. flock(2): the kernel lets go when the process dies, so a lock cannot be stale; pid and host in
// the file are for people. (flock needs a descriptor that stays open, so this file does not go through FileSystem.)
class RunLock {
 public:
  // kUsage naming the holder's pid and host where another process holds it; kIo where the file cannot be made.
  explicit RunLock(const fs::path& run_root);
  ~RunLock();
  RunLock(RunLock&& other) noexcept;
  RunLock& operator=(RunLock&& other) noexcept;

 private:
  RunLock() = default;
  int descriptor_ = -1;
};

enum class StartMode {
  kNew,     // refuses an existing run, with a line that names --resume and --fresh
  kResume,  // goes on with the run, or starts one where there is none: schedulers call it in a loop
  kFresh,   // renames an existing run to NAME.old-1, NAME.old-2, ... and starts anew; deletes nothing
};

// A run that this process may write to.
struct OpenRun {
  RunPaths paths;
  RunLock lock;
  bool existed = false;  // kResume found a run; it may have no checkpoint yet
  fs::path renamed_to;   // kFresh: where the old run lies now; empty where there was none
  bool made_directory = false;
};

// Creates and locks. A directory that holds something other than a run is refused in every mode; an empty one is fine.
OpenRun open_run(const fs::path& path, StartMode mode, FileSystem& file_system = real_files());

// kFresh in two parts, so that whatever may fail comes before the old run loses its name: open_run(path, kResume), then this, which
// renames the run that `open` found and opens a new one in its place. Where there was none, `open` as it is.
OpenRun start_over(OpenRun open, FileSystem& file_system = real_files());

// For a start that was refused before it wrote anything: takes away the lock file, and the directory where open_run() made it. Does
// nothing where more than the lock lies there. Never throws.
void abandon(OpenRun open);

}  // namespace sluice::store
