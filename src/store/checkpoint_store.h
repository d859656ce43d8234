// Checkpoints that are there as a whole or not at all, whatever fails and whenever.
//
// Saving step N: write into step-N.tmp-PID/, fsync each file, write the manifest last, fsync it and the directory, rename to step-N/,
// fsync the parent. A step-N/ that is already there and holds the same bytes is left; another one first moves to
// step-N.replaced-PID/, which still counts as step N until the new one stands in its place.
//
// One process writes (it holds the run's lock, run_directory.h); any number may read meanwhile.
// Errors: kIo for what fails while writing (the temporary is removed, older checkpoints stay), kBadData for damage found.
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
  std::string name;                        // a plain name such as "model.safetensors"
  std::function<void(OutputFile&)> write;  // writes the content; syncing and closing is done by save()
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

// "step-N", and back: nothing for any other name (leading zeros, signs, overflow included).
std::string checkpoint_name(std::int64_t step);
std::optional<std::int64_t> checkpoint_step(std::string_view name);

// Reads every file back and compares size and hash with the manifest; files that it does not list are faults too, and so is a
// directory called step-N whose manifest names another step. kMissingInput where there is no such directory, else kBadData naming the
// file and what differs. The bytes come through the page cache: what was just written is compared with what the kernel holds of it.
Manifest verify_checkpoint(const fs::path& directory);

class CheckpointStore {
 public:
  // `directory` is RUN/checkpoints; created by the first save. A writer holds RUN/lock by then: save() refuses, with kIo, once the
  // run has been moved or deleted, since what lies at its path now is not the directory that the lock protects.
  explicit CheckpointStore(fs::path directory, FileSystem& file_system = real_files());

  const fs::path& directory() const { return directory_; }

  // kIo, with what is free and what is needed, unless `bytes_needed` fit on the disk. Call before step 0 and before each save
  // with the size of one checkpoint: a new one is complete before an old one goes.
  void require_space(std::uint64_t bytes_needed) const;

  // Writes and commits. After it returns the checkpoint survives a power cut. Whatever it throws, checkpoints from before are as they were.
  void save(std::int64_t step, std::span<const CheckpointFile> files, const std::map<std::string, std::string>& notes = {});

  // The newest checkpoint that verifies; the ones passed over go to `damaged`. Nothing where none verifies: kNoCheckpoint is
  // the caller's to throw when `damaged` is not empty.
  std::optional<Checkpoint> newest_valid(std::vector<DamagedCheckpoint>* damaged = nullptr) const;

  // Steps with a directory of their own, ascending, verified or not.
  std::vector<std::int64_t> steps() const;

  // Deletes all but the newest `keep_last` (at least 1) that verify and `best_step`. The newest one is read back first, and
  // nothing is deleted unless it verifies. Damaged ones that are newer than those kept stay. Returns damage found.
  std::vector<DamagedCheckpoint> retain(std::int64_t keep_last, std::optional<std::int64_t> best_step = {});

  // Removes what a killed process left. Only for the holder of the run's lock.
  void clean_temporaries();

 private:
  void require_in_place() const;
  void write_temporary(const fs::path& temporary, Manifest& manifest, std::span<const CheckpointFile> files);
  void commit(const fs::path& temporary, std::int64_t step);
  void discard(std::int64_t step);
  bool verifies(std::int64_t step, std::vector<DamagedCheckpoint>& damaged);

  fs::path directory_;
  FileSystem& file_system_;
  std::optional<std::pair<std::uint64_t, std::uint64_t>> lock_;  // device and inode of RUN/lock; nothing where there was none
  std::set<std::int64_t> verified_;                              // read back by this object since they were written
};

}  // namespace sluice::store
