// The fault-injecting twin of real_files(), for tests. It works on real files below a temporary directory, counts every operation that
// can fail, and on request
//   - fails the n-th one as a disk would (ENOSPC, EDQUOT, EIO, or a write that stops half-way), cleaning nothing up: the caller has to;
//   - crashes after the n-th one: Crash is thrown, from then on every operation throws it and changes nothing; settle() then leaves the
//     disk as a power cut may, by the strict reading of POSIX:
//       - the bytes of a file are on disk as far as sync() of that file has come;
//       - a new, renamed or removed name is on disk once sync_directory() of its parent has run.
//     What goes beyond that may be there or not: Survival chooses.
//
// Operations, each counted once: open, write, sync, close, rename, create_directories, sync_directory, truncate, remove_all.
// create_directories and truncate are durable by contract.
//
//   FaultyFileSystem files({.crash_after = 7, .survival = Survival::kNothingUnsynced});
//   try { save(files); } catch (const Crash&) {}
//   files.settle();                       // the disk as the next process would find it
//
// To try every point: run once without faults, read num_operations(), then once for each n up to it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"

namespace sluice::testing {

// Not a std::exception: code under test that catches those must not survive its own death. `catch (...)` blocks may run, and find that every
// operation throws Crash again.
struct Crash {
  std::int64_t after_operation = 0;
};

// Of kind: disk full, quota used up, disk broken, and a write of which half the bytes arrive before the disk is full. Removing and
// cutting files fails only on a broken disk.
enum class Fault { kNoSpace, kQuota, kIoError, kShortWrite };
inline constexpr Fault kFaults[] = {Fault::kNoSpace, Fault::kQuota, Fault::kIoError, Fault::kShortWrite};

enum class Survival {
  kEverything,       // the process died (kill -9), the machine did not: all that was written is there
  kNothingUnsynced,  // power cut: unsynced bytes and unsynced names are gone
  kNamesOnly,        // names reached the disk, unsynced bytes did not: renamed files may be empty or cut
  kTornWrites,       // names reached the disk, and half of each file's unsynced bytes
};
inline constexpr Survival kSurvivals[] = {Survival::kEverything, Survival::kNothingUnsynced, Survival::kNamesOnly, Survival::kTornWrites};

struct FaultPlan {
  std::optional<std::int64_t> fail_at = std::nullopt;  // 1 = the first operation fails
  std::int64_t fail_count = 1;                         // so many in a row fail
  Fault fault = Fault::kNoSpace;
  std::optional<std::int64_t> crash_after = std::nullopt;  // 0 = before the first operation
  Survival survival = Survival::kEverything;
  std::optional<std::uint64_t> free_bytes = std::nullopt;  // what free_bytes() says; the real number otherwise
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

  std::int64_t num_operations() const;          // finished so far, the failed ones included
  std::vector<std::string> operations() const;  // "write a/b 12", for messages of failing tests
  bool crashed() const;
  // Takes back what the plan's Survival says did not reach the disk. Once, after the Crash, or without one as a power cut at this point.
  void settle();

 private:
  class Disk;
  class File;
  std::shared_ptr<Disk> disk_;
};

}  // namespace sluice::testing
