// A fault-injecting implementation of FileSystem for tests. It works on real files below a
// temporary directory, counts every operation that can fail, and on request
//   - fails the n-th operation as a disk would (ENOSPC, EDQUOT, EIO, or a partial write), leaving
//     cleanup to the caller;
//   - crashes after the n-th operation: it throws Crash, and every later operation throws it again
//     without effect. apply_power_cut() then changes the disk as a power cut may, according to a
//     strict reading of POSIX:
//       - the bytes of a file are durable up to the last sync() of that file;
//       - a created, renamed or removed name is durable after sync_directory() of its parent.
//     Survival selects whether anything beyond that survives.
//
// Operations, each counted once: open, write, sync, close, rename, create_directories,
// sync_directory, truncate, remove_all. create_directories and truncate are durable by contract.
//
//   FaultyFileSystem files({.crash_after = 7, .survival = Survival::kNothingUnsynced});
//   try { save(files); } catch (const Crash&) {}
//   files.apply_power_cut();              // the disk as seen by the next process
//
// To test every crash point, run once without faults, then once for each n up to num_operations().
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"

namespace sluice::testing {

// Not a std::exception, so that code under test cannot catch it as one. In `catch (...)` blocks,
// every operation throws Crash again.
struct Crash {
  std::int64_t after_operation = 0;
};

// Disk full, quota exceeded, I/O error, and a disk full after writing half the bytes. Removing and
// truncating files fails only with kIoError.
enum class Fault { kNoSpace, kQuota, kIoError, kShortWrite };
inline constexpr Fault kFaults[] = {Fault::kNoSpace, Fault::kQuota, Fault::kIoError,
                                    Fault::kShortWrite};

enum class Survival {
  kEverything,       // only the process died (kill -9): all writes survive
  kNothingUnsynced,  // power cut: unsynced bytes and unsynced names are gone
  kNamesOnly,   // unsynced names survive, unsynced bytes do not: files may be empty or truncated
  kTornWrites,  // unsynced names and half of each file's unsynced bytes survive
};
inline constexpr Survival kSurvivals[] = {Survival::kEverything, Survival::kNothingUnsynced,
                                          Survival::kNamesOnly, Survival::kTornWrites};

struct FaultPlan {
  std::optional<std::int64_t> fail_at = std::nullopt;  // 1 = the first operation fails
  std::int64_t fail_count = 1;                         // number of consecutive failures
  Fault fault = Fault::kNoSpace;
  std::optional<std::int64_t> crash_after = std::nullopt;  // 0 = before the first operation
  Survival survival = Survival::kEverything;
  // result of free_bytes(); default: the real value
  std::optional<std::uint64_t> free_bytes = std::nullopt;
};

class FaultyFileSystem final : public FileSystem {
 public:
  explicit FaultyFileSystem(FaultPlan plan = {});
  ~FaultyFileSystem() override;

  std::unique_ptr<OutputFile> open(const fs::path& path, Mode mode) override;
  void rename(const fs::path& from, const fs::path& to) override;
  void create_directories(const fs::path& path) override;
  void sync_directory(const fs::path& path) override;
  void truncate(const fs::path& path, std::uint64_t size_bytes) override;
  void remove_all(const fs::path& path) override;
  std::uint64_t free_bytes(const fs::path& path) override;

  std::int64_t num_operations() const;          // so far, including failed ones
  std::vector<std::string> operations() const;  // "write a/b 12", for failure messages
  bool crashed() const;
  // Reverts the changes that do not survive according to the plan's Survival. Call it once, after
  // the Crash or, for a power cut at this point, without one.
  void apply_power_cut();

 private:
  class Disk;
  class File;
  std::shared_ptr<Disk> disk_;
};

}  // namespace sluice::testing
