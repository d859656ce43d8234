#include "store/checkpoint_store.h"

#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/text_format.h"
#include "base/version.h"
#include "store/checkpoint_listing.h"

namespace sluice::store {
namespace {

// Forwards writes and computes the size and hash of the content.
class HashingFile final : public OutputFile {
 public:
  explicit HashingFile(OutputFile& file) : file_(file) {}
  using OutputFile::write;
  void write(std::span<const std::byte> bytes) override {
    file_.write(bytes);
    hasher_.update(bytes);
    size_bytes_ += bytes.size();
  }
  void sync() override { invariant(false, "checkpoint files are synced by the store"); }
  void close() override { invariant(false, "checkpoint files are closed by the store"); }
  ManifestFile entry(std::string name) const {
    return {std::move(name), size_bytes_, hasher_.digest()};
  }

 private:
  OutputFile& file_;
  Hasher hasher_;
  std::uint64_t size_bytes_ = 0;
};

// Used after an error that must be reported instead. The next start removes remaining temporaries.
void remove_quietly(FileSystem& file_system, const fs::path& path) {
  try {
    file_system.remove_all(path);
  } catch (...) {
  }
}

// Whether `directory` verifies and has the same manifest, and therefore the same files, as `other`.
bool same_content(const fs::path& directory, const fs::path& other) {
  try {
    return to_json(verify_checkpoint(directory)) == read_file(other / kManifestName);
  } catch (const UserError&) {
    return false;
  }
}

}  // namespace

CheckpointStore::CheckpointStore(fs::path directory, FileSystem& file_system)
    : directory_(std::move(directory)),
      file_system_(file_system),
      lock_(identity_of(directory_.parent_path() / "lock")) {}

void CheckpointStore::require_in_place() const {
  const fs::path run = directory_.parent_path();
  if (!lock_ || identity_of(run / "lock") == lock_) return;
  fail(ExitCode::kIo, run.string(),
       "moved or deleted during the run; use --resume at its new location");
}

void CheckpointStore::require_space(std::uint64_t bytes_needed) const {
  const std::uint64_t free = file_system_.free_bytes(directory_);
  if (free >= bytes_needed) return;
  fail(ExitCode::kIo, directory_.string(),
       cat(human_bytes(free), " (", free, " bytes) of free disk space"),
       cat(human_bytes(bytes_needed), " (", bytes_needed, " bytes) for checkpoints"));
}

void CheckpointStore::save(std::int64_t step, std::span<const CheckpointFile> files,
                           const std::map<std::string, std::string>& notes,
                           const std::function<void()>& before_commit) {
  require_in_place();
  verified_.erase(step);
  Manifest manifest{std::string(version()), step, notes, {}};
  for (const CheckpointFile& f : files) manifest.files.push_back({f.name, 0, {}});
  to_json(manifest);  // rejects bad names and notes before anything is written
  const fs::path temporary = directory_ / cat(checkpoint_name(step), kTemporarySuffix, ::getpid());
  file_system_.create_directories(directory_);
  try {
    write_temporary(temporary, manifest, files);
    if (before_commit) before_commit();
    commit(temporary, step);
  } catch (...) {
    remove_quietly(file_system_, temporary);
    throw;
  }
}

void CheckpointStore::write_temporary(const fs::path& temporary, Manifest& manifest,
                                      std::span<const CheckpointFile> files) {
  file_system_.remove_all(temporary);
  file_system_.create_directories(temporary);
  for (std::size_t i = 0; i < files.size(); ++i) {
    const std::unique_ptr<OutputFile> file =
        file_system_.open(temporary / files[i].name, FileSystem::Mode::kCreate);
    HashingFile hashing(*file);
    files[i].write(hashing);
    file->sync();
    file->close();
    manifest.files[i] = hashing.entry(files[i].name);
  }
  const std::unique_ptr<OutputFile> file =
      file_system_.open(temporary / kManifestName, FileSystem::Mode::kCreate);
  file->write(std::string_view(to_json(manifest)));
  file->sync();
  file->close();
  file_system_.sync_directory(temporary);
}

// If a complete directory for `step` existed, one exists at every moment: the old one, under either
// name, or the new one.
void CheckpointStore::commit(const fs::path& temporary, std::int64_t step) {
  const fs::path target = directory_ / checkpoint_name(step);
  std::error_code ignored;
  if (!fs::exists(fs::symlink_status(target, ignored))) {
    file_system_.rename(temporary, target);
    file_system_.sync_directory(directory_);
    return;
  }
  if (same_content(target, temporary)) {
    file_system_.remove_all(temporary);
    return;
  }
  const fs::path replaced = directory_ / cat(checkpoint_name(step), kReplacedSuffix, ::getpid());
  file_system_.remove_all(replaced);
  file_system_.rename(target, replaced);
  try {
    file_system_.sync_directory(directory_);
    file_system_.rename(temporary, target);
  } catch (...) {
    file_system_.rename(replaced, target);
    throw;
  }
  file_system_.sync_directory(directory_);
  file_system_.remove_all(replaced);
}

std::optional<Checkpoint> CheckpointStore::newest_valid(
    std::vector<DamagedCheckpoint>* damaged) const {
  std::vector<DamagedCheckpoint> skipped;
  std::vector<CheckpointSlot> slots = list_checkpoints(directory_);
  // A concurrent writer may commit or delete checkpoints. If a slot has changed, start again.
  for (std::size_t i = 0; i < slots.size();) {
    const CheckpointSlot slot = slots[i];
    const auto before = identity_of(slot.path);
    try {
      Manifest manifest = verify_checkpoint(slot.path);
      if (manifest.step == slot.step) {
        if (damaged) *damaged = std::move(skipped);
        return Checkpoint{slot.path, std::move(manifest)};
      }
      skipped.push_back(
          {slot.path, cat(slot.path.string(), ": contains the checkpoint of step ", manifest.step),
           slot.step});
      ++i;
    } catch (const UserError& error) {
      if (before && before == identity_of(slot.path)) {
        skipped.push_back({slot.path, error.what(), slot.step});
        ++i;
        continue;
      }
      slots = list_checkpoints(directory_);
      skipped.clear();
      i = 0;
    }
  }
  if (damaged) *damaged = std::move(skipped);
  return std::nullopt;
}

std::vector<std::int64_t> CheckpointStore::steps() const {
  std::vector<std::int64_t> steps;
  for (const CheckpointSlot& slot : list_checkpoints(directory_)) {
    if (!slot.replaced) steps.push_back(slot.step);
  }
  std::reverse(steps.begin(), steps.end());
  return steps;
}

bool CheckpointStore::verifies(std::int64_t step, std::vector<DamagedCheckpoint>& damaged) {
  if (verified_.contains(step)) return true;
  const fs::path path = directory_ / checkpoint_name(step);
  try {
    verify_checkpoint(path);
    verified_.insert(step);
    return true;
  } catch (const UserError& error) {
    damaged.push_back({path, error.what(), step});
    return false;
  }
}

std::vector<DamagedCheckpoint> CheckpointStore::retain(std::int64_t keep_last,
                                                       std::optional<std::int64_t> best_step) {
  invariant(keep_last >= 1, "at least one checkpoint must be kept");
  std::vector<DamagedCheckpoint> damaged;
  std::vector<std::int64_t> newest_first = steps();
  std::reverse(newest_first.begin(), newest_first.end());
  std::int64_t num_kept = 0;
  for (std::int64_t step : newest_first) {
    if (num_kept < keep_last) {
      num_kept += verifies(step, damaged);
      if (num_kept == 0) break;
    } else if (step != best_step) {
      discard(step);
    }
  }
  return damaged;
}

// Renames first: a partially deleted directory must not look like a damaged checkpoint.
void CheckpointStore::discard(std::int64_t step) {
  const fs::path temporary = directory_ / cat(checkpoint_name(step), kTemporarySuffix, ::getpid());
  verified_.erase(step);
  file_system_.remove_all(temporary);
  file_system_.rename(directory_ / checkpoint_name(step), temporary);
  file_system_.sync_directory(directory_);
  file_system_.remove_all(temporary);
}

void CheckpointStore::clean_temporaries() {
  for (const fs::path& path : list_temporaries(directory_)) file_system_.remove_all(path);
  for (const CheckpointSlot& slot : list_checkpoints(directory_)) {
    if (!slot.replaced) continue;
    const fs::path target = directory_ / checkpoint_name(slot.step);
    std::vector<DamagedCheckpoint> damaged;
    std::error_code ignored;
    verified_.erase(slot.step);
    if (!fs::exists(fs::symlink_status(target, ignored))) {
      file_system_.rename(slot.path, target);
      file_system_.sync_directory(directory_);
    } else if (verifies(slot.step, damaged)) {
      file_system_.remove_all(slot.path);
    }
  }
}

}  // namespace sluice::store
