// Crash-safe checkpoints: each exists completely or not at all, whatever fails.
//
// Saving step N: write to step-N.tmp-PID/, fsync each file, write the manifest last, fsync it and
// the directory, rename to step-N/, fsync the parent. An existing step-N/ with the same content is
// kept; one with different content is first renamed to step-N.replaced-PID/, which counts as step N
// until the new one is in place.
//
// One process writes (it holds the run's lock, run_directory.h); any number may read concurrently.
// Errors: kIo for write failures (the temporary is removed, older checkpoints are kept), kBadData
// for damage.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "store/manifest.h"

namespace sluice::store {

struct CheckpointFile {
  std::string name;  // a plain name such as "model.safetensors"
  // Writes the content; save() syncs and closes the file.
  std::function<void(OutputFile&)> write;
};

struct Checkpoint {
  fs::path directory;
  Manifest manifest;
};

struct DamagedCheckpoint {
  fs::path directory;
  std::string reason;  // one line
  std::int64_t step = 0;
};

// "step-N", and its inverse: nullopt for any other name (including leading zeros, signs, overflow).
std::string checkpoint_name(std::int64_t step);
std::optional<std::int64_t> checkpoint_step(std::string_view name);

// Reads every file back and compares its size and hash with the manifest. Unlisted files are
// errors, and so is a directory named step-N whose manifest has another step. kMissingInput if
// there is no such directory, otherwise kBadData naming the file and the difference. Reads go
// through the page cache, so a checkpoint just written is not necessarily read from the disk.
Manifest verify_checkpoint(const fs::path& directory);

class CheckpointStore {
 public:
  // `directory` is RUN/checkpoints; created by the first save. A writer must hold RUN/lock by then:
  // save() fails with kIo if the run has been moved or deleted, since the lock does not protect the
  // directory that is now at its path.
  explicit CheckpointStore(fs::path directory, FileSystem& file_system = real_files());

  const fs::path& directory() const { return directory_; }

  // kIo, with the free and the required space, unless `bytes_needed` fit on the disk. Call before
  // step 0, and before each save with the size of one checkpoint: a new checkpoint is completed
  // before an old one is deleted.
  void require_space(std::uint64_t bytes_needed) const;

  // Writes and commits. After it returns, the checkpoint survives a power loss. If it throws,
  // earlier checkpoints are unchanged. `before_commit`: called when all is written; if it throws,
  // nothing is saved.
  void save(std::int64_t step, std::span<const CheckpointFile> files,
            const std::map<std::string, std::string>& notes = {},
            const std::function<void()>& before_commit = {});

  // The newest checkpoint that verifies; skipped ones are added to `damaged`. nullopt if none
  // verifies: the caller throws kNoCheckpoint if `damaged` is not empty.
  std::optional<Checkpoint> newest_valid(std::vector<DamagedCheckpoint>* damaged = nullptr) const;

  // Steps with a directory step-N, ascending, verified or not.
  std::vector<std::int64_t> steps() const;

  // Deletes all checkpoints except `best_step` and the newest `keep_last` (at least 1) that verify.
  // The newest is read back first, and nothing is deleted unless it verifies. Damaged checkpoints
  // newer than the kept ones are not deleted. Returns the damaged checkpoints found.
  std::vector<DamagedCheckpoint> retain(std::int64_t keep_last,
                                        std::optional<std::int64_t> best_step = {});

  // Removes the temporaries of a killed process. Requires the run's lock.
  void clean_temporaries();

 private:
  void require_in_place() const;
  void write_temporary(const fs::path& temporary, Manifest& manifest,
                       std::span<const CheckpointFile> files);
  void commit(const fs::path& temporary, std::int64_t step);
  void discard(std::int64_t step);
  bool verifies(std::int64_t step, std::vector<DamagedCheckpoint>& damaged);

  fs::path directory_;
  FileSystem& file_system_;
  // Device and inode of RUN/lock; nullopt if there was none.
  std::optional<std::pair<std::uint64_t, std::uint64_t>> lock_;
  std::set<std::int64_t> verified_;  // verified by this object since they were written
};

}  // namespace sluice::store
