// Crashes and disk failures at every operation of a save: afterwards exactly step N or step N-1
// exists, complete.
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "base/text_format.h"
#include "store/metrics_log.h"
#include "tests/base/faulty_file_system.h"
#include "tests/store/store_support.h"

namespace sluice::store {
namespace {

using ::sluice::testing::Crash;
using ::sluice::testing::Fault;
using ::sluice::testing::FaultPlan;
using ::sluice::testing::FaultyFileSystem;
using ::sluice::testing::kFaults;
using ::sluice::testing::kSurvivals;
using ::sluice::testing::Survival;

constexpr int kOld = 1, kNew = 2;

// One file is written in two pieces, so that a crash can occur between them.
std::vector<CheckpointFile> files_of(int content) {
  const std::string text = pseudo_random_text(5'000, static_cast<std::uint64_t>(content));
  return {{"model.safetensors",
           [text](OutputFile& file) {
             file.write(std::string_view(text).substr(0, 3'000));
             file.write(std::string_view(text).substr(3'000));
           }},
          text_file("config.yaml", cat("content: ", content))};
}

// The state before a save, and the operations under test.
struct Scenario {
  std::string name;
  std::int64_t step_before = 1;  // existing valid checkpoint with content kOld
  std::int64_t step = 2;         // saved with content kNew
  bool damaged_before = false;   // a damaged checkpoint of `step` also exists
  bool retain = false;           // call retain(1) afterwards
};
const Scenario kScenarios[] = {{"first_of_its_step"},
                               {"replaces_another_content", 2, 2},
                               {"replaces_a_damaged_one", 1, 2, true},
                               {"then_deletes_the_older", 1, 2, false, true}};

// Files can be removed even from a full disk, so save() cleans up. (With EIO the removal may fail
// too; then the next start cleans up.)
void expect_no_temporaries(const fs::path& directory, const std::string& place) {
  for (const auto& entry : fs::directory_iterator(directory)) {
    EXPECT_EQ(entry.path().string().find(".tmp-"), std::string::npos)
        << place << ": left over " << entry.path();
  }
}

class CheckpointFaults : public ::testing::TestWithParam<Scenario> {
 protected:
  // Creates the directory as it is before the save under test.
  void prepare(const fs::path& directory) const {
    FaultyFileSystem files;  // without faults and without disk waits
    CheckpointStore store(directory, files);
    store.save(GetParam().step_before, files_of(kOld));
    if (!GetParam().damaged_before) return;
    store.save(GetParam().step, files_of(7));
    write_text(directory / checkpoint_name(GetParam().step) / "config.yaml", "damage");
  }
  void save(const fs::path& directory, FileSystem& files) const {
    CheckpointStore store(directory, files);
    store.save(GetParam().step, files_of(kNew));
    if (GetParam().retain) store.retain(1);
  }
  // The content found by the next process; it must be complete, and the same before and after the
  // process cleans up.
  int content_found(const fs::path& directory, const std::string& place) const {
    CheckpointStore store(directory);
    const int before = content_of_newest(store, place);
    store.clean_temporaries();
    for (const auto& entry : fs::directory_iterator(directory)) {
      EXPECT_TRUE(checkpoint_step(entry.path().filename().string()))
          << place << ": left over " << entry.path();
    }
    EXPECT_EQ(content_of_newest(store, place), before) << place;
    return before;
  }
  static int content_of_newest(const CheckpointStore& store, const std::string& place) {
    const std::optional<Checkpoint> found = store.newest_valid();
    if (!found) {
      ADD_FAILURE() << place << ": no checkpoint verifies";
      return 0;
    }
    const int content =
        read_file(found->directory / "config.yaml") == cat("content: ", kNew) ? kNew : kOld;
    EXPECT_EQ(read_file(found->directory / "model.safetensors"),
              pseudo_random_text(5'000, static_cast<std::uint64_t>(content)))
        << place;
    return content;
  }
  std::int64_t num_operations() const {
    const ScratchDirectory scratch;
    FaultyFileSystem files;
    prepare(scratch / "c");
    save(scratch / "c", files);
    return files.num_operations();
  }
};

TEST_P(CheckpointFaults, CrashAfterAnyOperationKeepsTheOldOrTheNew) {
  const std::int64_t count = num_operations();
  ASSERT_GT(count, 15);
  for (const Survival survival : kSurvivals) {
    bool seen_new = false;
    for (std::int64_t n = 0; n <= count; ++n) {
      const ScratchDirectory scratch;
      const fs::path directory = scratch / "c";
      prepare(directory);
      FaultyFileSystem files({.crash_after = n, .survival = survival});
      bool returned = false;
      try {
        save(directory, files);
        returned = true;
      } catch (const Crash&) {
      }
      files.apply_power_cut();
      const std::string last = files.operations().empty() ? "nothing" : files.operations().back();
      const int content = content_found(
          directory, cat("crash after ", last, ", survival ", static_cast<int>(survival)));
      EXPECT_TRUE(content == kNew || !seen_new)
          << "the new checkpoint was lost by a later crash: after " << last;
      EXPECT_TRUE(content == kNew || !returned)
          << "the checkpoint was lost although save() had returned";
      seen_new = seen_new || content == kNew;
      FaultyFileSystem good;
      save(directory, good);  // the run continues
      EXPECT_EQ(content_found(directory, "second try"), kNew);
    }
    EXPECT_TRUE(seen_new);
  }
}

TEST_P(CheckpointFaults, FailingOperationIsReportedWithoutLoss) {
  const std::int64_t count = num_operations();
  for (const Fault fault : kFaults) {
    for (const std::int64_t in_a_row : {std::int64_t{1}, std::int64_t{1000}}) {
      int num_failed = 0;
      for (std::int64_t n = 1; n <= count; ++n) {
        const ScratchDirectory scratch;
        const fs::path directory = scratch / "c";
        prepare(directory);
        FaultyFileSystem files({.fail_at = n, .fail_count = in_a_row, .fault = fault});
        bool failed = false;
        try {
          save(directory, files);
        } catch (const UserError& error) {
          failed = true;
          EXPECT_EQ(error.code(), ExitCode::kIo) << error.what();
          EXPECT_NE(std::string(error.what()).find(scratch.path().string()), std::string::npos)
              << error.what();
        }
        const std::string place = cat("fault ", static_cast<int>(fault), " at ",
                                      files.operations()[static_cast<std::size_t>(n) - 1]);
        num_failed += failed;
        if (failed && fault != Fault::kIoError) expect_no_temporaries(directory, place);
        if (in_a_row == 1 && !GetParam().retain) {
          EXPECT_TRUE(fs::exists(directory / checkpoint_name(GetParam().step_before))) << place;
        }
        EXPECT_EQ(content_found(directory, place) == kNew || failed, true) << place;
        FaultyFileSystem good;
        save(directory, good);
        EXPECT_EQ(content_found(directory, "second try"), kNew);
      }
      EXPECT_GT(num_failed, count / 2);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, CheckpointFaults, ::testing::ValuesIn(kScenarios),
                         [](const auto& param) { return param.param.name; });

// Metrics and checkpoints as in the training loop: after any crash and a resume, there is exactly
// one line per step.
TEST(MetricsCrash, ExactlyOneLinePerStepAfterAnyCrash) {
  const auto train = [](const fs::path& run, FileSystem& files, std::int64_t last_step) {
    CheckpointStore store(run / "checkpoints", files);
    store.clean_temporaries();
    const std::optional<Checkpoint> found = store.newest_valid();
    std::int64_t step = found ? found->manifest.step : 0;
    MetricsLog log(run / "metrics.jsonl", files);
    log.truncate_after(step);
    while (++step <= last_step) {
      log.append(cat("{\"step\":", step, "}"));
      if (step % 3 != 0) continue;
      log.flush();
      const CheckpointFile file = text_file("f", std::to_string(step));
      store.save(step, {&file, 1});
      store.retain(1);
    }
    log.flush();
  };
  const ScratchDirectory reference;
  FaultyFileSystem counting;
  train(reference.path(), counting, 7);
  const std::string expected = read_file(reference / "metrics.jsonl");
  for (const Survival survival : kSurvivals) {
    for (std::int64_t n = 0; n <= counting.num_operations(); ++n) {
      const ScratchDirectory run;
      for (const std::int64_t crash_after : {n, n / 2 + 3}) {  // and again while resuming
        FaultyFileSystem files({.crash_after = crash_after, .survival = survival});
        try {
          train(run.path(), files, 7);
        } catch (const Crash&) {
        }
        files.apply_power_cut();
      }
      FaultyFileSystem good;
      train(run.path(), good, 7);
      ASSERT_EQ(read_file(run / "metrics.jsonl"), expected)
          << "crash after " << n << ", survival " << static_cast<int>(survival);
    }
  }
}

TEST(MetricsFaults, FailuresAreReported) {
  for (const Fault fault : kFaults) {
    for (std::int64_t n = 1; n <= 4; ++n) {
      const ScratchDirectory scratch;
      FaultyFileSystem files({.fail_at = n, .fault = fault});
      try {
        MetricsLog log(scratch / "metrics.jsonl", files);
        log.append("{\"step\":1}");
        log.flush();
      } catch (const UserError& error) {
        EXPECT_EQ(error.code(), ExitCode::kIo);
        EXPECT_NE(std::string(error.what()).find(scratch.path().string()), std::string::npos)
            << error.what();
      }
      MetricsLog log(scratch / "metrics.jsonl");
      log.truncate_after(0);
      EXPECT_EQ(read_file(scratch / "metrics.jsonl"), "");
    }
  }
}

// ---- real processes ----

// Saves one checkpoint after another, keeping two, until killed.
[[noreturn]] void save_forever(const fs::path& directory, std::int64_t first_step) {
  CheckpointStore store(directory);
  for (std::int64_t step = first_step;; ++step) {
    const CheckpointFile files[] = {
        text_file("a", pseudo_random_text(30'000, static_cast<std::uint64_t>(step))),
        text_file("b", std::to_string(step))};
    store.save(step, files);
    store.save(step, files);
    store.retain(2);
  }
}

class Writer {
 public:
  explicit Writer(const fs::path& directory, std::int64_t first_step) : pid_(::fork()) {
    if (pid_ != 0) return;
    try {
      save_forever(directory, first_step);
    } catch (...) {
      ::_exit(1);
    }
  }
  ~Writer() {
    ::kill(pid_, SIGKILL);
    int status = 0;
    ::waitpid(pid_, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status)) << "the writer failed";
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

 private:
  ::pid_t pid_;
};

TEST(CheckpointProcesses, ReaderSeesOnlyCompleteCheckpoints) {
  const ScratchDirectory scratch;
  const CheckpointStore store(scratch / "c");
  const Writer writer(scratch / "c", 1);
  std::int64_t last = 0;
  int num_advances = 0;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (num_advances < 60 && std::chrono::steady_clock::now() < end) {
    std::vector<DamagedCheckpoint> damaged;
    const std::optional<Checkpoint> found = store.newest_valid(&damaged);
    ASSERT_TRUE(damaged.empty()) << damaged[0].reason;
    ASSERT_TRUE(found || last == 0);
    if (!found) continue;
    ASSERT_GE(found->manifest.step, last);
    num_advances += found->manifest.step > last;
    last = found->manifest.step;
  }
  EXPECT_GE(num_advances, 20);
}

TEST(CheckpointProcesses, RandomKillsLoseAtMostOneSave) {
  const ScratchDirectory scratch;
  CheckpointStore store(scratch / "c");
  std::mt19937_64 random(3);
  std::int64_t last = 0;
  int num_interrupted_saves = 0;
  for (int i = 0; i < 40; ++i) {
    {
      const Writer writer(scratch / "c", last + 1);
      std::this_thread::sleep_for(std::chrono::microseconds(3'000 + random() % 60'000));
    }
    std::vector<DamagedCheckpoint> damaged;
    for (const auto& entry : fs::directory_iterator(scratch.path())) {
      if (entry.path().filename() != "c") continue;
      for (const auto& inner : fs::directory_iterator(entry.path()))
        num_interrupted_saves += inner.path().string().find(".tmp-") != std::string::npos;
    }
    store.clean_temporaries();
    const std::optional<Checkpoint> found = store.newest_valid(&damaged);
    ASSERT_TRUE(damaged.empty()) << damaged[0].reason;
    ASSERT_TRUE(found || last == 0);
    if (!found) continue;
    EXPECT_GE(found->manifest.step, last);
    last = found->manifest.step;
  }
  EXPECT_GE(num_interrupted_saves, 5);
  EXPECT_GT(last, 20);
}

}  // namespace
}  // namespace sluice::store
