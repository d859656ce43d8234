#include "base/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <thread>

#include "base/error.h"
#include "base/signals.h"
#include "tests/base/temporary_directory.h"

namespace sluice {
namespace {

using Mode = FileSystem::Mode;

// Runs `action`, which must fail with `code`, and returns the message.
template <class Action>
std::string message_of(ExitCode code, Action action) {
  try {
    action();
  } catch (const UserError& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no exception";
  return {};
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

class FileTest : public ::testing::Test {
 protected:
  testing::TemporaryDirectory folder_;
  FileSystem& files_ = real_files();
  fs::path path_ = folder_ / "file";

  void put(const fs::path& path, std::string_view text, Mode mode = Mode::kCreate) {
    const auto file = files_.open(path, mode);
    file->write(text);
    file->sync();
    file->close();
  }
};

TEST_F(FileTest, CreateTruncatesAndAppendAppends) {
  put(path_, "a longer text");
  put(path_, "short");
  put(path_, " and more", Mode::kAppend);
  EXPECT_EQ(read_file(path_), "short and more");
}

TEST_F(FileTest, BytesAreUnchanged) {
  std::string text(300'000, '\0');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 7);
  put(path_, text);
  EXPECT_EQ(read_file(path_), text);
}

TEST_F(FileTest, AFullDiskIsReportedWithPathAndBytes) {
  if (!fs::exists("/dev/full")) GTEST_FAIL() << "/dev/full is missing";
  const auto file = files_.open("/dev/full", Mode::kAppend);
  const std::string message =
      message_of(ExitCode::kIo, [&] { file->write(std::string(5000, 'x')); });
  EXPECT_EQ(message, "/dev/full: cannot write 5000 bytes: No space left on device");
}

TEST_F(FileTest, AWriteIntoAClosedPipeIsAnError) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const auto file = files_.open(fs::path("/proc/self/fd") / std::to_string(ends[1]), Mode::kAppend);
  close(ends[0]);
  close(ends[1]);
  const auto old_handler = signal(SIGPIPE, SIG_IGN);
  EXPECT_TRUE(contains(message_of(ExitCode::kIo, [&] { file->write("x"); }), "Broken pipe"));
  signal(SIGPIPE, old_handler);
}

// A pipe accepts 64 KiB at a time: the rest of the span requires further writes.
TEST_F(FileTest, PartialWritesContinue) {
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  std::string received;
  std::thread reader([&] { received = read_file(path_); });
  const std::string text(1'000'000, 'y');
  {
    const auto file = files_.open(path_, Mode::kAppend);
    file->write(text);
    file->close();
  }
  reader.join();
  EXPECT_EQ(received, text);
}

TEST_F(FileTest, OpeningFailsForUnwritablePaths) {
  EXPECT_TRUE(contains(
      message_of(ExitCode::kIo, [&] { files_.open(folder_ / "none/file", Mode::kCreate); }),
      "No such file or directory"));
  EXPECT_TRUE(
      contains(message_of(ExitCode::kIo, [&] { files_.open(folder_.path(), Mode::kCreate); }),
               "Is a directory"));
  EXPECT_THROW(files_.open("/proc/sluice", Mode::kCreate), UserError);  // fails even for root
}

TEST_F(FileTest, AnUnwritableDirectoryIsReported) {
  if (geteuid() == 0) {  // root may write anywhere except in /proc
    EXPECT_TRUE(
        contains(message_of(ExitCode::kIo, [&] { files_.create_directories("/proc/sluice/run"); }),
                 "/proc/sluice/run: cannot create"));
    return;
  }
  fs::permissions(folder_.path(), fs::perms::owner_read | fs::perms::owner_exec);
  EXPECT_TRUE(contains(message_of(ExitCode::kIo, [&] { files_.open(path_, Mode::kCreate); }),
                       "Permission denied"));
  EXPECT_TRUE(contains(message_of(ExitCode::kIo, [&] { files_.create_directories(folder_ / "d"); }),
                       "Permission denied"));
  fs::permissions(folder_.path(), fs::perms::owner_all);
}

TEST_F(FileTest, UseAfterCloseIsABug) {
  const auto file = files_.open(path_, Mode::kCreate);
  file->close();
  EXPECT_THROW(file->write("x"), InvariantError);
  EXPECT_THROW(file->sync(), InvariantError);
  EXPECT_THROW(file->close(), InvariantError);
}

TEST_F(FileTest, CreatesDirectoriesWithParentsRepeatedly) {
  files_.create_directories(folder_ / "a/b/c");
  files_.create_directories(folder_ / "a/b/c/");
  EXPECT_TRUE(fs::is_directory(folder_ / "a/b/c"));
  put(path_, "x");
  EXPECT_TRUE(contains(message_of(ExitCode::kIo, [&] { files_.create_directories(path_ / "d"); }),
                       "cannot create directory"));
}

TEST_F(FileTest, RenameReplacesAndReportsBothNames) {
  put(path_, "new");
  put(folder_ / "to", "old");
  files_.rename(path_, folder_ / "to");
  EXPECT_EQ(read_file(folder_ / "to"), "new");
  const std::string message =
      message_of(ExitCode::kIo, [&] { files_.rename(path_, folder_ / "to"); });
  EXPECT_TRUE(contains(message, path_.string()) && contains(message, (folder_ / "to").string()))
      << message;
}

TEST_F(FileTest, RemoveAllRemovesTreesAndIgnoresMissingPaths) {
  fs::create_directories(folder_ / "a/b");
  files_.remove_all(folder_ / "a");
  files_.remove_all(folder_ / "a");
  EXPECT_FALSE(fs::exists(folder_ / "a"));
}

TEST_F(FileTest, TruncateShortensAndReportsMissingFiles) {
  put(path_, "12345");
  files_.truncate(path_, 2);
  EXPECT_EQ(read_file(path_), "12");
  EXPECT_TRUE(contains(message_of(ExitCode::kIo, [&] { files_.truncate(folder_ / "none", 0); }),
                       "cannot truncate to 0 bytes"));
}

TEST_F(FileTest, SyncDirectoryRequiresADirectory) {
  EXPECT_NO_THROW(files_.sync_directory(folder_.path()));
  EXPECT_THROW(files_.sync_directory(folder_ / "none"), UserError);
}

TEST_F(FileTest, FreeBytesUsesTheNearestExistingDirectory) {
  EXPECT_GT(files_.free_bytes(folder_.path()), 0U);
  EXPECT_GT(files_.free_bytes(folder_ / "not/yet/there"), 0U);
  EXPECT_GT(files_.free_bytes("relative/and/missing"), 0U);
}

TEST_F(FileTest, WriteAtomicallyReplacesWithoutTemporaryFiles) {
  files_.write_atomically(path_, "first");
  files_.write_atomically(path_, "second");
  EXPECT_EQ(read_file(path_), "second");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_.path()), {}), 1);
}

// A concurrent reader always sees one of the two texts completely.
TEST_F(FileTest, WriteAtomicallyNeverExposesPartialContent) {
  const std::string a(50'000, 'a'), b(90'000, 'b');
  files_.write_atomically(path_, a);
  std::thread writer([&] {
    for (int i = 0; i < 50; ++i) files_.write_atomically(path_, i % 2 == 0 ? b : a);
  });
  bool whole = true;
  for (int i = 0; i < 200; ++i) {
    const std::string seen = read_file(path_);
    whole = whole && (seen == a || seen == b);
  }
  writer.join();
  EXPECT_TRUE(whole);
}

TEST_F(FileTest, ReadFileReportsMissingFilesDirectoriesAndTooLargeFiles) {
  EXPECT_TRUE(contains(message_of(ExitCode::kMissingInput, [&] { read_file(path_); }),
                       "No such file or directory"));
  EXPECT_TRUE(contains(message_of(ExitCode::kMissingInput, [&] { read_file(folder_.path()); }),
                       "Is a directory"));
  put(path_, "12345");
  EXPECT_EQ(read_file(path_, 5), "12345");
  EXPECT_TRUE(contains(message_of(ExitCode::kBadData, [&] { read_file(path_, 4); }),
                       "exceeds the maximum size of 4 B"));
  EXPECT_THROW(read_file("/dev/zero", 1 << 20), UserError);  // reports size 0 and never ends
}

TEST_F(FileTest, ReadFileReadsFilesWithoutASize) {
  EXPECT_TRUE(read_file("/proc/self/status").starts_with("Name:"));
}

TEST_F(FileTest, AFifoIsReadToItsEnd) {
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  std::thread writer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));  // no writer at first
    std::ofstream file(path_);
    file << "first, " << std::flush;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    file << "second";
  });
  EXPECT_EQ(read_file(path_), "first, second");
  writer.join();
}

TEST_F(FileTest, AStopEndsTheWaitForAFifo) {
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  std::thread stopper([] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    request_stop(SIGTERM);
  });
  EXPECT_TRUE(contains(message_of(ExitCode::kInterrupted, [&] { read_file(path_); }),
                       "interrupted by SIGTERM"));
  stopper.join();
  clear_stop();
}

TEST_F(FileTest, MappedFileContainsTheBytes) {
  put(path_, "mapped");
  MappedFile mapped(path_);
  const auto text = [](const MappedFile& file) {
    return std::string(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  };
  EXPECT_EQ(text(mapped), "mapped");
  MappedFile moved = std::move(mapped);
  EXPECT_EQ(text(moved), "mapped");
  put(folder_ / "other", "other");
  moved = MappedFile(folder_ / "other");
  EXPECT_EQ(text(moved), "other");
}

TEST_F(FileTest, MappedFileOfEmptyAndMissingFiles) {
  put(path_, "");
  EXPECT_TRUE(MappedFile(path_).bytes().empty());
  EXPECT_TRUE(contains(message_of(ExitCode::kMissingInput, [&] { MappedFile(folder_ / "none"); }),
                       "No such file or directory"));
}

}  // namespace
}  // namespace sluice
