#include "store/checkpoint_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text_format.h"
#include "store/run_directory.h"
#include "tests/base/faulty_file_system.h"
#include "tests/store/store_support.h"

namespace sluice::store {
namespace {

// Three files of odd sizes, one of them empty.
std::vector<CheckpointFile> files_of(std::uint64_t content) {
  return {text_file("model.safetensors", pseudo_random_text(20'001, content)),
          text_file("optimizer.safetensors", pseudo_random_text(9'000, ~content)), text_file("config.yaml", "")};
}

class CheckpointStoreTest : public ::testing::Test {
 protected:
  void save(std::int64_t step) { store_.save(step, files_of(static_cast<std::uint64_t>(step)), {{"config_hash", "c"}}); }
  fs::path at(std::int64_t step) const { return directory_ / checkpoint_name(step); }
  // Step of the newest valid one, -1 where there is none.
  std::int64_t newest(std::size_t num_damaged = 0) const {
    std::vector<DamagedCheckpoint> damaged;
    const std::optional<Checkpoint> found = store_.newest_valid(&damaged);
    EXPECT_EQ(damaged.size(), num_damaged) << (damaged.empty() ? "" : damaged[0].reason);
    return found ? found->manifest.step : -1;
  }
  std::set<std::string> names() const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(directory_)) names.insert(entry.path().filename().string());
    return names;
  }
  std::string damage_of(const fs::path& checkpoint) const {
    return error_of(ExitCode::kBadData, [&] { verify_checkpoint(checkpoint); });
  }

  ScratchDirectory scratch_;
  fs::path directory_ = scratch_ / "run/checkpoints";
  CheckpointStore store_{directory_};
};

TEST(CheckpointName, ReadsOnlyWhatItWrites) {
  for (const std::int64_t step : {std::int64_t{0}, std::int64_t{1}, std::int64_t{4200}, std::int64_t{9223372036854775807}}) {
    EXPECT_EQ(checkpoint_step(checkpoint_name(step)), step);
  }
  for (const char* name : {"", "step-", "step-x", "step-01", "step--1", "step-+1", "step-1 ", "step-9223372036854775808", "step-1.tmp-2",
                           "Step-1", "latest"}) {
    EXPECT_FALSE(checkpoint_step(name)) << name;
  }
}

TEST_F(CheckpointStoreTest, SavesAndReadsBack) {
  save(100);
  save(200);
  EXPECT_EQ(names(), (std::set<std::string>{"step-100", "step-200"}));
  EXPECT_EQ(store_.steps(), (std::vector<std::int64_t>{100, 200}));
  const std::optional<Checkpoint> found = store_.newest_valid();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->directory, at(200));
  EXPECT_EQ(found->manifest.step, 200);
  EXPECT_EQ(found->manifest.note("config_hash", "m"), "c");
  ASSERT_EQ(found->manifest.files.size(), 3U);
  for (const ManifestFile& file : found->manifest.files) {
    const std::string content = read_file(at(200) / file.name);
    EXPECT_EQ(file.size_bytes, content.size());
    EXPECT_EQ(file.hash, hash_of(content));
  }
  EXPECT_EQ(read_file(at(200) / "model.safetensors"), pseudo_random_text(20'001, 200));
}

TEST_F(CheckpointStoreTest, TheSameContentGivesTheSameBytes) {
  save(7);
  CheckpointStore other(scratch_ / "elsewhere");
  other.save(7, files_of(7), {{"config_hash", "c"}});
  EXPECT_EQ(content_of_tree(directory_), content_of_tree(scratch_ / "elsewhere"));
}

TEST_F(CheckpointStoreTest, ContentMayComeInPieces) {
  const std::string text = pseudo_random_text(10'000, 1);
  const CheckpointFile pieces{"f", [&](OutputFile& file) {
                                for (std::size_t i = 0; i < text.size(); i += 999) file.write(std::string_view(text).substr(i, 999));
                              }};
  store_.save(1, {&pieces, 1});
  EXPECT_EQ(verify_checkpoint(at(1)).files[0].hash, hash_of(text));
}

TEST_F(CheckpointStoreTest, NothingThere) {
  EXPECT_EQ(newest(), -1);
  EXPECT_TRUE(store_.steps().empty());
  EXPECT_TRUE(store_.retain(2).empty());
  store_.clean_temporaries();
  EXPECT_FALSE(fs::exists(directory_));
  error_of(ExitCode::kMissingInput, [&] { verify_checkpoint(at(1)); });
}

// The protocol itself, in the order that makes it safe.
TEST_F(CheckpointStoreTest, CommitsInTheDocumentedOrder) {
  ::sluice::testing::FaultyFileSystem files;
  CheckpointStore store(directory_, files);
  store.save(5, std::vector{text_file("a", "x"), text_file("b", "y")});
  const std::string dir = directory_.string();
  const std::string tmp = dir + "/step-5.tmp-" + std::to_string(::getpid());
  std::vector<std::string> expected = {"create_directories " + dir, "remove_all " + tmp, "create_directories " + tmp};
  for (const char* name : {"/a", "/b", "/manifest.json"}) {
    for (const char* operation : {"open", "write", "sync", "close"}) expected.push_back(cat(operation, ' ', tmp, name));
  }
  expected.insert(expected.end(), {"sync_directory " + tmp, cat("rename ", tmp, ' ', dir, "/step-5"), "sync_directory " + dir});
  const std::vector<std::string> operations = files.operations();
  ASSERT_EQ(operations.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_TRUE(operations[i].starts_with(expected[i])) << operations[i];
}

TEST_F(CheckpointStoreTest, RefusesNamesThatLeaveTheDirectory) {
  for (const char* name : {"../x", "a/b", "", "manifest.json"}) {
    const CheckpointFile file = text_file(name, "x");
    EXPECT_THROW(store_.save(1, {&file, 1}), InvariantError) << name;
  }
  const CheckpointFile twice[] = {text_file("a", "x"), text_file("a", "y")};
  EXPECT_THROW(store_.save(1, twice), InvariantError);
  EXPECT_TRUE(content_of_tree(scratch_.path()).empty());
}

TEST_F(CheckpointStoreTest, AWriterThatThrowsLeavesNothing) {
  save(1);
  const CheckpointFile file{"f", [](OutputFile& out) {
                              out.write(std::string_view("half"));
                              throw std::runtime_error("out of memory");
                            }};
  EXPECT_THROW(store_.save(2, {&file, 1}), std::runtime_error);
  EXPECT_EQ(names(), std::set<std::string>{"step-1"});
}

// ---- a step that is there already ----

TEST_F(CheckpointStoreTest, TheSameStepAgainChangesNothing) {
  save(3);
  struct ::stat before {
  }, after{};
  ASSERT_EQ(::stat(at(3).c_str(), &before), 0);
  save(3);
  ASSERT_EQ(::stat(at(3).c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino);
  EXPECT_EQ(names(), std::set<std::string>{"step-3"});
}

TEST_F(CheckpointStoreTest, AnotherContentReplacesIt) {
  save(3);
  store_.save(3, files_of(33));
  EXPECT_EQ(names(), std::set<std::string>{"step-3"});
  EXPECT_EQ(read_file(at(3) / "model.safetensors"), pseudo_random_text(20'001, 33));
  EXPECT_EQ(newest(), 3);
}

TEST_F(CheckpointStoreTest, ADamagedOneIsReplaced) {
  save(3);
  write_text(at(3) / "config.yaml", "damage");
  EXPECT_EQ(newest(1), -1);
  save(3);
  EXPECT_EQ(newest(), 3);
}

TEST_F(CheckpointStoreTest, AReplacedOneStillCountsAndComesBack) {
  save(2);
  save(3);
  fs::rename(at(3), directory_ / "step-3.replaced-99");  // the process died between the two renames
  EXPECT_EQ(newest(), 3);
  EXPECT_EQ(store_.steps(), std::vector<std::int64_t>{2});
  store_.clean_temporaries();
  EXPECT_EQ(names(), (std::set<std::string>{"step-2", "step-3"}));
  fs::copy(at(3), directory_ / "step-3.replaced-99");  // it died after them
  store_.clean_temporaries();
  EXPECT_EQ(names(), (std::set<std::string>{"step-2", "step-3"}));
  fs::copy(at(3), directory_ / "step-3.replaced-99");
  write_text(at(3) / "config.yaml", "damage");  // and the disk is bad, too
  store_.clean_temporaries();
  EXPECT_EQ(newest(1), 3);
}

// ---- temporaries ----

TEST_F(CheckpointStoreTest, OnlyOurTemporariesAreRemoved) {
  save(1);
  for (const char* name : {"step-2.tmp-17", "step-1.tmp-1", "mine", "step-2.tmp-", "step-2.tmp-x", "tmp-2", "step-x.tmp-2"}) {
    fs::create_directories(directory_ / name);
    write_text(directory_ / name / "f", "x");
  }
  EXPECT_EQ(newest(), 1);
  store_.clean_temporaries();
  EXPECT_EQ(names(), (std::set<std::string>{"step-1", "mine", "step-2.tmp-", "step-2.tmp-x", "tmp-2", "step-x.tmp-2"}));
}

// ---- space ----

TEST_F(CheckpointStoreTest, SpaceIsCheckedBeforeAnythingIsWritten) {
  ::sluice::testing::FaultyFileSystem files({.free_bytes = 1'000'000});
  const CheckpointStore store(directory_, files);
  store.require_space(1'000'000);
  const std::string message = error_of(ExitCode::kIo, [&] { store.require_space(1'000'001); });
  for (const char* part : {"checkpoints", "1000000 bytes", "1000001 bytes"}) EXPECT_NE(message.find(part), std::string::npos) << message;
  EXPECT_FALSE(fs::exists(directory_));
  store_.require_space(1);  // the real disk, with a directory that is not there yet
}

// ---- a run that is moved away ----

TEST_F(CheckpointStoreTest, NothingIsSavedWhereTheRunLiesNoMore) {
  const fs::path run = scratch_ / "run", moved = scratch_ / "moved";
  fs::create_directories(run);
  const RunLock lock(run);
  CheckpointStore store(directory_);
  store.save(1, files_of(1));
  fs::rename(run, moved);
  EXPECT_NE(error_of(ExitCode::kIo, [&] { store.save(2, files_of(2)); }).find("moved or deleted"), std::string::npos);
  EXPECT_FALSE(fs::exists(run));
  fs::create_directories(run);
  const RunLock of_another_run(run);
  error_of(ExitCode::kIo, [&] { store.save(2, files_of(2)); });
  EXPECT_FALSE(fs::exists(directory_));
  EXPECT_EQ(CheckpointStore(moved / "checkpoints").steps(), std::vector<std::int64_t>{1});
}

// ---- retention ----

TEST_F(CheckpointStoreTest, KeepsTheNewestAndTheBest) {
  for (std::int64_t step = 1; step <= 6; ++step) save(step);
  EXPECT_TRUE(store_.retain(2, 3).empty());
  EXPECT_EQ(store_.steps(), (std::vector<std::int64_t>{3, 5, 6}));
  store_.retain(1, 6);
  EXPECT_EQ(store_.steps(), std::vector<std::int64_t>{6});
  EXPECT_THROW(store_.retain(0), InvariantError);
}

// A reader, or the next start, must never meet a checkpoint that is half deleted.
TEST_F(CheckpointStoreTest, TakesTheNameAwayBeforeItDeletes) {
  save(1);
  save(2);
  ::sluice::testing::FaultyFileSystem files;
  CheckpointStore(directory_, files).retain(1);
  const std::string tmp = cat(at(1).string(), ".tmp-", ::getpid());
  EXPECT_EQ(files.operations(), (std::vector<std::string>{"remove_all " + tmp, cat("rename ", at(1).string(), ' ', tmp),
                                                          "sync_directory " + directory_.string(), "remove_all " + tmp}));
}

TEST_F(CheckpointStoreTest, DeletesNothingWhileTheNewestIsDamaged) {
  for (std::int64_t step = 1; step <= 4; ++step) save(step);
  write_text(at(4) / "config.yaml", "damage");
  const std::vector<DamagedCheckpoint> damaged = store_.retain(1);
  ASSERT_EQ(damaged.size(), 1U);
  EXPECT_EQ(damaged[0].directory, at(4));
  EXPECT_EQ(store_.steps(), (std::vector<std::int64_t>{1, 2, 3, 4}));
}

TEST_F(CheckpointStoreTest, DamagedOnesDoNotCount) {
  for (std::int64_t step = 1; step <= 5; ++step) save(step);
  write_text(at(4) / "config.yaml", "damage");
  write_text(at(1) / "config.yaml", "damage");
  EXPECT_EQ(store_.retain(2).size(), 1U);
  EXPECT_EQ(store_.steps(), (std::vector<std::int64_t>{3, 4, 5}));
}

TEST_F(CheckpointStoreTest, RetentionReadsBackWhatWasSavedAgain) {
  save(1);
  save(2);
  store_.retain(2);
  store_.save(2, files_of(22));
  write_text(at(2) / "config.yaml", "damage");
  EXPECT_EQ(store_.retain(1).size(), 1U);
  EXPECT_EQ(store_.steps(), (std::vector<std::int64_t>{1, 2}));
}

// ---- damage ----

TEST_F(CheckpointStoreTest, TenThousandFlippedBitsAreNoticed) {
  save(1);
  save(2);
  std::vector<std::pair<fs::path, std::uint64_t>> files;
  std::uint64_t total_bits = 0;
  for (const auto& [name, content] : content_of_tree(at(2))) {
    files.emplace_back(at(2) / name, total_bits += 8 * content.size());
  }
  std::mt19937_64 random(1);
  int num_noticed = 0;
  for (int i = 0; i < 10'000; ++i) {
    std::uint64_t bit = random() % total_bits;
    const auto file = std::find_if(files.begin(), files.end(), [&](const auto& f) { return bit < f.second; });
    bit -= file == files.begin() ? 0 : std::prev(file)->second;
    const int descriptor = ::open(file->first.c_str(), O_RDWR);
    char byte = 0;
    const auto place = static_cast<::off_t>(bit / 8);
    ASSERT_EQ(::pread(descriptor, &byte, 1, place), 1);
    const char flipped = static_cast<char>(byte ^ (1 << bit % 8));
    ASSERT_EQ(::pwrite(descriptor, &flipped, 1, place), 1);
    std::vector<DamagedCheckpoint> damaged;
    const std::optional<Checkpoint> found = store_.newest_valid(&damaged);
    num_noticed += found && found->manifest.step == 1 && damaged.size() == 1;
    ASSERT_EQ(::pwrite(descriptor, &byte, 1, place), 1);
    ::close(descriptor);
  }
  EXPECT_EQ(num_noticed, 10'000);
  EXPECT_EQ(newest(), 2);
}

TEST_F(CheckpointStoreTest, EveryTruncationIsNoticed) {
  save(1);
  for (const auto& [name, content] : content_of_tree(at(1))) {
    for (std::size_t size = 0; size < content.size(); size += 4096) {
      fs::resize_file(at(1) / name, size);
      EXPECT_NE(damage_of(at(1)).find(name), std::string::npos);
    }
    if (!content.empty()) {
      fs::resize_file(at(1) / name, content.size() - 1);
      damage_of(at(1));
    }
    write_text(at(1) / name, content);
    verify_checkpoint(at(1));
  }
}

TEST_F(CheckpointStoreTest, MissingFilesAreNamed) {
  save(1);
  for (const auto& [name, content] : content_of_tree(at(1))) {
    fs::remove(at(1) / name);
    const std::string message = damage_of(at(1));
    EXPECT_NE(message.find(name + ": missing"), std::string::npos) << message;
    write_text(at(1) / name, content);
  }
}

TEST_F(CheckpointStoreTest, ExtraEntriesAreNamed) {
  save(1);
  const std::vector<std::pair<std::string, std::function<void(const fs::path&)>>> makers = {
      {"file", [](const fs::path& p) { write_text(p, "x"); }},
      {"folder", [](const fs::path& p) { fs::create_directory(p); }},
      {"link", [](const fs::path& p) { fs::create_symlink("model.safetensors", p); }},
      {"pipe", [](const fs::path& p) { ASSERT_EQ(::mkfifo(p.c_str(), 0600), 0); }},
  };
  for (const auto& [name, make] : makers) {
    make(at(1) / name);
    const std::string message = damage_of(at(1));
    EXPECT_NE(message.find(name), std::string::npos) << message;
    fs::remove(at(1) / name);
  }
  fs::remove(at(1) / "config.yaml");
  ASSERT_EQ(::mkfifo((at(1) / "config.yaml").c_str(), 0600), 0);  // in place of a file of no bytes: opening it would hang
  EXPECT_NE(damage_of(at(1)).find("no regular file"), std::string::npos);
}

TEST_F(CheckpointStoreTest, SwappedFilesAndCheckpointsAreNoticed) {
  const auto same_size = [](char c) {
    return std::vector{text_file("a", std::string(9, c)), text_file("b", std::string(9, static_cast<char>(c + 1)))};
  };
  store_.save(1, same_size('a'));
  store_.save(2, same_size('c'));
  const auto swap = [&](const fs::path& a, const fs::path& b) {
    fs::rename(a, scratch_ / "aside");
    fs::rename(b, a);
    fs::rename(scratch_ / "aside", b);
  };
  swap(at(2) / "a", at(2) / "b");
  EXPECT_EQ(newest(1), 1);
  swap(at(2) / "a", at(2) / "b");
  swap(at(2) / "a", at(1) / "a");
  EXPECT_EQ(newest(2), -1);
  swap(at(2) / "a", at(1) / "a");
  swap(at(2) / "manifest.json", at(1) / "manifest.json");
  EXPECT_EQ(newest(2), -1);
  swap(at(2) / "manifest.json", at(1) / "manifest.json");
  swap(at(2), at(1));
  EXPECT_EQ(newest(2), -1);
  EXPECT_NE(damage_of(at(2)).find("the manifest of step 1; that of step 2"), std::string::npos);
}

TEST_F(CheckpointStoreTest, ACopyUnderAnotherNameVerifies) {
  save(4);
  fs::copy(at(4), scratch_ / "my-model");
  EXPECT_EQ(verify_checkpoint(scratch_ / "my-model").step, 4);
  EXPECT_EQ(verify_checkpoint(at(4).string() + "/").step, 4);
  fs::create_directory_symlink(at(4), scratch_ / "latest");
  EXPECT_EQ(verify_checkpoint(scratch_ / "latest").step, 4);
}

TEST_F(CheckpointStoreTest, OddEntriesAmongCheckpointsAreDamage) {
  save(1);
  write_text(directory_ / "step-9", "a file");
  fs::create_directory_symlink("nowhere", directory_ / "step-8");
  fs::create_directory(directory_ / "step-7");
  EXPECT_EQ(newest(3), 1);
}

}  // namespace
}  // namespace sluice::store
