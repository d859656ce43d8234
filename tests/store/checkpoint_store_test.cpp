#include "store/checkpoint_store.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/text_format.h"
#include "store/run_directory.h"
#include "tests/base/faulty_file_system.h"
#include "tests/store/checkpoint_support.h"

namespace sluice::store {
namespace {

TEST(CheckpointName, ReadsOnlyWhatItWrites) {
  for (const std::int64_t step :
       {std::int64_t{0}, std::int64_t{1}, std::int64_t{4200}, std::int64_t{9223372036854775807}}) {
    EXPECT_EQ(checkpoint_step(checkpoint_name(step)), step);
  }
  for (const char* name : {"", "step-", "step-x", "step-01", "step--1", "step-+1", "step-1 ",
                           "step-9223372036854775808", "step-1.tmp-2", "Step-1", "latest"}) {
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

TEST_F(CheckpointStoreTest, SameContentProducesTheSameBytes) {
  save(7);
  CheckpointStore other(scratch_ / "elsewhere");
  other.save(7, checkpoint_files(7), {{"config_hash", "c"}});
  EXPECT_EQ(content_of_tree(directory_), content_of_tree(scratch_ / "elsewhere"));
}

TEST_F(CheckpointStoreTest, ContentMayBeWrittenInPieces) {
  const std::string text = pseudo_random_text(10'000, 1);
  const CheckpointFile pieces{"f", [&](OutputFile& file) {
                                for (std::size_t i = 0; i < text.size(); i += 999)
                                  file.write(std::string_view(text).substr(i, 999));
                              }};
  store_.save(1, {&pieces, 1});
  EXPECT_EQ(verify_checkpoint(at(1)).files[0].hash, hash_of(text));
}

TEST_F(CheckpointStoreTest, AcceptsAMissingDirectory) {
  EXPECT_EQ(newest(), -1);
  EXPECT_TRUE(store_.steps().empty());
  EXPECT_TRUE(store_.retain(2).empty());
  store_.clean_temporaries();
  EXPECT_FALSE(fs::exists(directory_));
  error_of(ExitCode::kMissingInput, [&] { verify_checkpoint(at(1)); });
}

// The order of operations makes the commit crash-safe.
TEST_F(CheckpointStoreTest, CommitsInTheDocumentedOrder) {
  ::sluice::testing::FaultyFileSystem files;
  CheckpointStore store(directory_, files);
  store.save(5, std::vector{text_file("a", "x"), text_file("b", "y")});
  const std::string dir = directory_.string();
  const std::string tmp = dir + "/step-5.tmp-" + std::to_string(::getpid());
  std::vector<std::string> expected = {"create_directories " + dir, "remove_all " + tmp,
                                       "create_directories " + tmp};
  for (const char* name : {"/a", "/b", "/manifest.json"}) {
    for (const char* operation : {"open", "write", "sync", "close"})
      expected.push_back(cat(operation, ' ', tmp, name));
  }
  expected.insert(
      expected.end(),
      {"sync_directory " + tmp, cat("rename ", tmp, ' ', dir, "/step-5"), "sync_directory " + dir});
  const std::vector<std::string> operations = files.operations();
  ASSERT_EQ(operations.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_TRUE(operations[i].starts_with(expected[i])) << operations[i];
}

TEST_F(CheckpointStoreTest, RejectsNamesOutsideTheDirectory) {
  for (const char* name : {"../x", "a/b", "", "manifest.json"}) {
    const CheckpointFile file = text_file(name, "x");
    EXPECT_THROW(store_.save(1, {&file, 1}), InvariantError) << name;
  }
  const CheckpointFile twice[] = {text_file("a", "x"), text_file("a", "y")};
  EXPECT_THROW(store_.save(1, twice), InvariantError);
  EXPECT_TRUE(content_of_tree(scratch_.path()).empty());
}

TEST_F(CheckpointStoreTest, ThrowingWriterLeavesNoFiles) {
  save(1);
  const CheckpointFile file{"f", [](OutputFile& out) {
                              out.write(std::string_view("half"));
                              throw std::runtime_error("out of memory");
                            }};
  EXPECT_THROW(store_.save(2, {&file, 1}), std::runtime_error);
  EXPECT_EQ(names(), std::set<std::string>{"step-1"});
}

TEST_F(CheckpointStoreTest, AnErrorBeforeTheCommitSavesNothing) {
  save(1);
  const CheckpointFile file{"f", [](OutputFile& out) { out.write(std::string_view("whole")); }};
  std::set<std::string> before;
  EXPECT_THROW(store_.save(2, {&file, 1}, {},
                           [&] {
                             before = names();
                             throw std::runtime_error("changed");
                           }),
               std::runtime_error);
  EXPECT_EQ(before.size(), 2u);  // with the temporary
  EXPECT_EQ(names(), std::set<std::string>{"step-1"});
}

// ---- existing steps ----

TEST_F(CheckpointStoreTest, SavingAStepAgainChangesNothing) {
  save(3);
  struct ::stat before {
  }, after{};
  ASSERT_EQ(::stat(at(3).c_str(), &before), 0);
  save(3);
  ASSERT_EQ(::stat(at(3).c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino);
  EXPECT_EQ(names(), std::set<std::string>{"step-3"});
}

TEST_F(CheckpointStoreTest, DifferentContentReplacesTheStep) {
  save(3);
  store_.save(3, checkpoint_files(33));
  EXPECT_EQ(names(), std::set<std::string>{"step-3"});
  EXPECT_EQ(read_file(at(3) / "model.safetensors"), pseudo_random_text(20'001, 33));
  EXPECT_EQ(newest(), 3);
}

TEST_F(CheckpointStoreTest, DamagedStepIsReplaced) {
  save(3);
  write_text(at(3) / "config.yaml", "damage");
  EXPECT_EQ(newest(1), -1);
  save(3);
  EXPECT_EQ(newest(), 3);
}

TEST_F(CheckpointStoreTest, ReplacedStepCountsAndIsRestored) {
  save(2);
  save(3);
  fs::rename(at(3), directory_ / "step-3.replaced-99");  // crashed between the two renames
  EXPECT_EQ(newest(), 3);
  EXPECT_EQ(store_.steps(), std::vector<std::int64_t>{2});
  store_.clean_temporaries();
  EXPECT_EQ(names(), (std::set<std::string>{"step-2", "step-3"}));
  fs::copy(at(3), directory_ / "step-3.replaced-99");  // crashed after them
  store_.clean_temporaries();
  EXPECT_EQ(names(), (std::set<std::string>{"step-2", "step-3"}));
  fs::copy(at(3), directory_ / "step-3.replaced-99");
  write_text(at(3) / "config.yaml", "damage");  // and the new one is damaged
  store_.clean_temporaries();
  EXPECT_EQ(newest(1), 3);
}

// ---- temporaries ----

TEST_F(CheckpointStoreTest, RemovesOnlyItsOwnTemporaries) {
  save(1);
  for (const char* name : {"step-2.tmp-17", "step-1.tmp-1", "mine", "step-2.tmp-", "step-2.tmp-x",
                           "tmp-2", "step-x.tmp-2"}) {
    fs::create_directories(directory_ / name);
    write_text(directory_ / name / "f", "x");
  }
  EXPECT_EQ(newest(), 1);
  store_.clean_temporaries();
  EXPECT_EQ(names(), (std::set<std::string>{"step-1", "mine", "step-2.tmp-", "step-2.tmp-x",
                                            "tmp-2", "step-x.tmp-2"}));
}

// ---- space ----

TEST_F(CheckpointStoreTest, ChecksSpaceBeforeWriting) {
  ::sluice::testing::FaultyFileSystem files({.free_bytes = 1'000'000});
  const CheckpointStore store(directory_, files);
  store.require_space(1'000'000);
  const std::string message = error_of(ExitCode::kIo, [&] { store.require_space(1'000'001); });
  for (const char* part : {"checkpoints", "1000000 bytes", "1000001 bytes"})
    EXPECT_NE(message.find(part), std::string::npos) << message;
  EXPECT_FALSE(fs::exists(directory_));
  store_.require_space(1);  // the real disk, with a directory that does not exist yet
}

// ---- moved runs ----

TEST_F(CheckpointStoreTest, SavesNothingAfterTheRunHasMoved) {
  const fs::path run = scratch_ / "run", moved = scratch_ / "moved";
  fs::create_directories(run);
  const RunLock lock(run);
  CheckpointStore store(directory_);
  store.save(1, checkpoint_files(1));
  fs::rename(run, moved);
  EXPECT_NE(
      error_of(ExitCode::kIo, [&] { store.save(2, checkpoint_files(2)); }).find("moved or deleted"),
      std::string::npos);
  EXPECT_FALSE(fs::exists(run));
  fs::create_directories(run);
  const RunLock of_another_run(run);
  error_of(ExitCode::kIo, [&] { store.save(2, checkpoint_files(2)); });
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

// A reader or the next start must never find a partially deleted checkpoint.
TEST_F(CheckpointStoreTest, RenamesBeforeDeleting) {
  save(1);
  save(2);
  ::sluice::testing::FaultyFileSystem files;
  CheckpointStore(directory_, files).retain(1);
  const std::string tmp = cat(at(1).string(), ".tmp-", ::getpid());
  EXPECT_EQ(files.operations(), (std::vector<std::string>{
                                    "remove_all " + tmp, cat("rename ", at(1).string(), ' ', tmp),
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

TEST_F(CheckpointStoreTest, DamagedCheckpointsDoNotCount) {
  for (std::int64_t step = 1; step <= 5; ++step) save(step);
  write_text(at(4) / "config.yaml", "damage");
  write_text(at(1) / "config.yaml", "damage");
  EXPECT_EQ(store_.retain(2).size(), 1U);
  EXPECT_EQ(store_.steps(), (std::vector<std::int64_t>{3, 4, 5}));
}

TEST_F(CheckpointStoreTest, RetentionVerifiesAStepSavedAgain) {
  save(1);
  save(2);
  store_.retain(2);
  store_.save(2, checkpoint_files(22));
  write_text(at(2) / "config.yaml", "damage");
  EXPECT_EQ(store_.retain(1).size(), 1U);
  EXPECT_EQ(store_.steps(), (std::vector<std::int64_t>{1, 2}));
}

}  // namespace
}  // namespace sluice::store
