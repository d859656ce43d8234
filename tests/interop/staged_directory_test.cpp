// Output exists completely or not at all, whatever fails.
#include "interop/staged_directory.h"

#include <csignal>

#include "base/error.h"
#include "base/signals.h"
#include "tests/base/faulty_file_system.h"
#include "tests/interop/interop_support.h"

// Included last: its namespace sluice::testing would hide GoogleTest's.
#include "tests/base/temporary_directory.h"

namespace sluice::interop::test {
namespace {

namespace fs = std::filesystem;

void write_two_files(const fs::path& path, FileSystem& files) {
  StagedDirectory directory(path, "--out", files);
  directory.write("a", "first");
  directory.write("b", "second");
  directory.commit();
}

void write_one_file(const fs::path& path, FileSystem& files) {
  write_staged(
      path, "--out", [](OutputFile& file) { file.write(std::string_view("text")); }, files);
}

TEST(StagedDirectory, AFailureLeavesNothing) {
  for (const auto write : {write_two_files, write_one_file}) {
    const testing::TemporaryDirectory directory;
    testing::FaultyFileSystem sound;
    write(directory / "out", sound);
    // The last operation syncs the parent directory, when the output is in its place.
    const std::int64_t num_faults = sound.num_operations() - 1;
    EXPECT_GE(num_faults, 5);
    EXPECT_TRUE(fs::exists(directory / "out"));
    fs::remove_all(directory / "out");
    for (std::int64_t n = 1; n <= num_faults; ++n) {
      for (const testing::Fault fault : testing::kFaults) {
        testing::FaultyFileSystem files({.fail_at = n, .fault = fault});
        // Not every fault fails every operation.
        bool failed = false;
        try {
          write(directory / "out", files);
        } catch (const UserError&) {
          failed = true;
        }
        if (fault == testing::Fault::kIoError) {
          EXPECT_TRUE(failed) << n;
        }
        EXPECT_EQ(fs::is_empty(directory.path()), failed) << n << files.operations().back();
        fs::remove_all(directory / "out");
      }
    }
  }
}

TEST(StagedDirectory, AStopLeavesNothing) {
  const testing::TemporaryDirectory directory;
  for (const auto write : {write_two_files, write_one_file}) {
    request_stop(SIGINT);
    try {
      write(directory / "out", real_files());
      ADD_FAILURE() << "no error";
    } catch (const UserError& error) {
      EXPECT_EQ(error.code(), ExitCode::kInterrupted);
    }
    clear_stop();
    EXPECT_TRUE(fs::is_empty(directory.path()));
  }
}

TEST(StagedDirectory, ReplacesAnEmptyDirectoryOnly) {
  const testing::TemporaryDirectory directory;
  fs::create_directories(directory / "empty");
  write_two_files(directory / "empty", real_files());
  EXPECT_EQ(content(directory / "empty/b"), "second");
  EXPECT_THROW(write_two_files(directory / "empty", real_files()), UserError);
  fs::create_symlink("nowhere", directory / "link");
  EXPECT_THROW(write_two_files(directory / "link", real_files()), UserError);
  EXPECT_THROW(write_one_file(directory / "link", real_files()), UserError);
}

}  // namespace
}  // namespace sluice::interop::test
