#include "tests/base/faulty_file_system.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/base/temporary_directory.h"

namespace sluice::testing {
namespace {

using Mode = FileSystem::Mode;

void put(FileSystem& files, const fs::path& path, std::string_view text, bool sync) {
  const auto file = files.open(path, Mode::kCreate);
  file->write(text);
  if (sync) file->sync();
  file->close();
}

// The content of `path` after `work` and a power cut with `survival`.
template <class Work>
std::string after_power_cut(const fs::path& path, Survival survival, Work work) {
  FaultyFileSystem files({.survival = survival});
  work(files);
  files.apply_power_cut();
  return fs::exists(path) ? read_file(path) : "(none)";
}

class FaultyFileSystemTest : public ::testing::Test {
 protected:
  TemporaryDirectory folder_;
  fs::path a_ = folder_ / "a", b_ = folder_ / "b";
};

TEST_F(FaultyFileSystemTest, WithoutAPlanItWritesNormally) {
  FaultyFileSystem files;
  put(files, a_, "text", true);
  EXPECT_EQ(read_file(a_), "text");
  EXPECT_EQ(files.num_operations(), 4);
  EXPECT_EQ(files.operations()[1], "write " + a_.string() + " 4");
}

TEST_F(FaultyFileSystemTest, EveryOperationCanFail) {
  for (const Fault fault : kFaults) {
    for (int n = 1; n <= 4; ++n) {
      FaultyFileSystem files({.fail_at = n, .fault = fault});
      EXPECT_THROW(put(files, a_, "text", true), UserError) << n;
      EXPECT_EQ(files.num_operations(), n);
    }
  }
}

TEST_F(FaultyFileSystemTest, AShortWriteWritesHalf) {
  FaultyFileSystem files({.fail_at = 2, .fault = Fault::kShortWrite});
  EXPECT_THROW(put(files, a_, "text", true), UserError);
  EXPECT_EQ(read_file(a_), "te");
}

TEST_F(FaultyFileSystemTest, OperationsAfterTheCrashHaveNoEffect) {
  FaultyFileSystem files({.crash_after = 1});
  EXPECT_THROW(put(files, a_, "text", true), Crash);
  EXPECT_TRUE(files.crashed());
  EXPECT_THROW(files.rename(a_, b_), Crash);
  EXPECT_THROW(files.remove_all(a_), Crash);
  EXPECT_EQ(read_file(a_), "");
}

TEST_F(FaultyFileSystemTest, UnsyncedBytesAreLostOrTorn) {
  const auto work = [&](FileSystem& files) {
    put(files, a_, "1234", true);
    files.sync_directory(folder_.path());
    const auto file = files.open(a_, Mode::kAppend);
    file->write("5678");
  };
  EXPECT_EQ(after_power_cut(a_, Survival::kEverything, work), "12345678");
  EXPECT_EQ(after_power_cut(a_, Survival::kNothingUnsynced, work), "1234");
  EXPECT_EQ(after_power_cut(a_, Survival::kNamesOnly, work), "1234");
  EXPECT_EQ(after_power_cut(a_, Survival::kTornWrites, work), "123456");
}

TEST_F(FaultyFileSystemTest, ANewNameRequiresADirectorySync) {
  const auto work = [&](FileSystem& files) { put(files, a_, "text", true); };
  EXPECT_EQ(after_power_cut(a_, Survival::kNothingUnsynced, work), "(none)");
  EXPECT_EQ(after_power_cut(a_, Survival::kNamesOnly, work), "text");
}

TEST_F(FaultyFileSystemTest, UndoingARenameRestoresTheReplacedFile) {
  put(real_files(), a_, "new", true);
  put(real_files(), b_, "old", true);
  EXPECT_EQ(after_power_cut(b_, Survival::kNothingUnsynced,
                            [&](FileSystem& files) { files.rename(a_, b_); }),
            "old");
  EXPECT_EQ(read_file(a_), "new");
  const auto synced = [&](FileSystem& files) {
    files.rename(a_, b_);
    files.sync_directory(folder_.path());
  };
  EXPECT_EQ(after_power_cut(b_, Survival::kNothingUnsynced, synced), "new");
}

TEST_F(FaultyFileSystemTest, RenamingWithoutSyncMayResultInAnEmptyFile) {
  put(real_files(), b_, "old", true);
  const auto work = [&](FileSystem& files) {
    put(files, a_, "new", false);
    files.rename(a_, b_);
  };
  EXPECT_EQ(after_power_cut(b_, Survival::kNamesOnly, work), "");
}

TEST_F(FaultyFileSystemTest, RenamedDirectoriesKeepUnsyncedState) {
  const fs::path before = folder_ / "x.tmp", after = folder_ / "x";
  const auto work = [&](FileSystem& files) {
    files.create_directories(before);
    put(files, before / "f", "1234", true);
    put(files, before / "g", "1234", false);
    files.sync_directory(before);
    files.rename(before, after);
    files.sync_directory(folder_.path());
  };
  EXPECT_EQ(after_power_cut(after / "f", Survival::kNothingUnsynced, work), "1234");
  EXPECT_EQ(read_file(after / "g"), "");
}

TEST_F(FaultyFileSystemTest, RemovalRequiresADirectorySync) {
  fs::create_directories(folder_ / "d/e");
  put(real_files(), folder_ / "d/e/f", "text", true);
  const auto remove = [&](FileSystem& files) { files.remove_all(folder_ / "d"); };
  EXPECT_EQ(after_power_cut(folder_ / "d/e/f", Survival::kNothingUnsynced, remove), "text");
  const auto and_sync = [&](FileSystem& files) {
    remove(files);
    files.sync_directory(folder_.path());
  };
  EXPECT_EQ(after_power_cut(folder_ / "d/e/f", Survival::kNothingUnsynced, and_sync), "(none)");
}

TEST_F(FaultyFileSystemTest, AnUnsyncedOverwriteKeepsTheOldBytesOrLosesBoth) {
  put(real_files(), a_, "old", true);
  const auto overwrite = [&](FileSystem& files) { put(files, a_, "new!", false); };
  EXPECT_EQ(after_power_cut(a_, Survival::kNothingUnsynced, overwrite), "old");
  EXPECT_EQ(after_power_cut(a_, Survival::kNamesOnly, overwrite), "");
}

// The main purpose of FaultyFileSystem: after a crash at any point, a reader finds the old or the
// new text.
TEST_F(FaultyFileSystemTest, WriteAtomicallySurvivesACrashAfterEveryOperation) {
  FaultyFileSystem counting;
  counting.write_atomically(a_, "old text");
  for (const Survival survival : kSurvivals) {
    for (std::int64_t n = 0; n <= counting.num_operations(); ++n) {
      put(real_files(), a_, "old text", true);
      FaultyFileSystem files({.crash_after = n, .survival = survival});
      bool finished = true;
      try {
        files.write_atomically(a_, "new text");
      } catch (const Crash&) {
        finished = false;
      }
      files.apply_power_cut();
      const std::string found = read_file(a_);
      EXPECT_TRUE(found == "new text" || (found == "old text" && !finished))
          << found << " after operation " << n;
    }
  }
}

TEST_F(FaultyFileSystemTest, WriteAtomicallyCleansUpAfterEveryFault) {
  put(real_files(), a_, "old text", true);
  for (const Fault fault : kFaults) {
    for (int n = 1; n <= 5; ++n) {
      FaultyFileSystem files({.fail_at = n, .fault = fault});
      EXPECT_THROW(files.write_atomically(a_, "new text"), UserError) << n;
      EXPECT_EQ(read_file(a_), "old text");
      EXPECT_EQ(std::distance(fs::directory_iterator(folder_.path()), {}), 1) << n;
    }
  }
}

}  // namespace
}  // namespace sluice::testing
