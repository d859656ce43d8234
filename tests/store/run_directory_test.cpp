#include "store/run_directory.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "base/text_format.h"
#include "tests/store/store_support.h"

namespace sluice::store {
namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// A run with a configuration.
void make_run(const fs::path& path, const std::string& content = "old") {
  const OpenRun run = open_run(path, StartMode::kNew);
  write_text(run.paths.config(), content);
  write_text(run.paths.run_json(), "{}");
}

class RunDirectoryTest : public ::testing::Test {
 protected:
  ScratchDirectory scratch_;
  fs::path path_ = scratch_ / "runs/quickstart";
};

TEST_F(RunDirectoryTest, PathsMatchTheDocumentation) {
  const RunPaths paths{"r"};
  EXPECT_EQ(paths.config(), "r/config.yaml");
  EXPECT_EQ(paths.run_json(), "r/run.json");
  EXPECT_EQ(paths.log(), "r/log.txt");
  EXPECT_EQ(paths.metrics(), "r/metrics.jsonl");
  EXPECT_EQ(paths.checkpoints(), "r/checkpoints");
}

TEST_F(RunDirectoryTest, AbandonRemovesOnlyItsOwnFiles) {
  abandon(open_run(path_, StartMode::kResume));
  EXPECT_FALSE(fs::exists(path_));
  fs::create_directories(path_);
  abandon(open_run(path_, StartMode::kNew));
  EXPECT_TRUE(fs::is_empty(path_)) << "a directory it did not create must be kept";
  OpenRun begun = open_run(path_, StartMode::kNew);
  write_text(begun.paths.metrics(), "x");
  abandon(std::move(begun));
  EXPECT_TRUE(fs::exists(path_ / "metrics.jsonl"));
  EXPECT_TRUE(fs::exists(path_ / "lock"));
  make_run(scratch_ / "old");
  abandon(open_run(scratch_ / "old", StartMode::kResume));
  EXPECT_TRUE(is_run_directory(scratch_ / "old"));
}

TEST_F(RunDirectoryTest, EveryModeStartsWithoutAnExistingRun) {
  for (const StartMode mode : {StartMode::kNew, StartMode::kResume, StartMode::kFresh}) {
    for (const std::string place : {"absent", "empty", "lock_only"}) {
      const fs::path path = scratch_ / (place + std::to_string(static_cast<int>(mode)));
      if (place != "absent") fs::create_directory(path);
      if (place == "lock_only") write_text(path / "lock", "");
      EXPECT_FALSE(is_run_directory(path));
      const OpenRun run = open_run(path, mode);
      EXPECT_FALSE(run.existed);
      EXPECT_TRUE(run.renamed_to.empty());
      EXPECT_EQ(run.paths.root, path);
      EXPECT_FALSE(is_run_directory(path));
    }
  }
}

TEST_F(RunDirectoryTest, NewOnAnExistingRunNamesBothFlags) {
  make_run(path_);
  EXPECT_TRUE(is_run_directory(path_));
  const std::string message = error_of(ExitCode::kUsage, [&] { open_run(path_, StartMode::kNew); });
  EXPECT_TRUE(contains(message, "--resume")) << message;
  EXPECT_TRUE(contains(message, "--fresh")) << message;
  EXPECT_TRUE(contains(message, path_.string())) << message;
}

TEST_F(RunDirectoryTest, ResumeFindsTheRun) {
  make_run(path_);
  const OpenRun run = open_run(path_, StartMode::kResume);
  EXPECT_TRUE(run.existed);
  EXPECT_EQ(read_file(run.paths.config()), "old");
}

TEST_F(RunDirectoryTest, FreshRenamesAndDeletesNothing) {
  make_run(path_, "first");
  for (int i = 1; i <= 3; ++i) {
    const OpenRun run = open_run(path_.string() + "/", StartMode::kFresh);
    EXPECT_EQ(run.renamed_to, path_.string() + ".old-" + std::to_string(i));
    EXPECT_EQ(run.paths.root, path_);
    write_text(run.paths.config(), cat("run ", i + 1));
  }
  EXPECT_EQ(read_file(path_ / "config.yaml"), "run 4");
  EXPECT_EQ(read_file(path_.string() + ".old-1/config.yaml"), "first");
  EXPECT_EQ(read_file(path_.string() + ".old-2/config.yaml"), "run 2");
  EXPECT_EQ(read_file(path_.string() + ".old-3/config.yaml"), "run 3");
}

TEST_F(RunDirectoryTest, RejectsAnyOtherDirectoryUnchanged) {
  fs::create_directories(path_);
  write_text(path_ / "thesis.tex", "x");
  const auto before = content_of_tree(path_);
  for (const StartMode mode : {StartMode::kNew, StartMode::kResume, StartMode::kFresh}) {
    const std::string message = error_of(ExitCode::kUsage, [&] { open_run(path_, mode); });
    EXPECT_TRUE(contains(message, "other than a run")) << message;
  }
  EXPECT_EQ(content_of_tree(path_), before);
  EXPECT_FALSE(is_run_directory(path_));
  write_text(path_ / "config.yaml", "a project that happens to have such a file");
  EXPECT_FALSE(is_run_directory(path_));
}

TEST_F(RunDirectoryTest, RunMayContainUserFiles) {
  make_run(path_);
  write_text(path_ / "notes.txt", "lr too high?");
  EXPECT_TRUE(is_run_directory(path_));
  EXPECT_TRUE(open_run(path_, StartMode::kResume).existed);
}

TEST_F(RunDirectoryTest, RunThatCrashedEarlyIsARun) {
  fs::create_directories(path_);
  write_text(path_ / "config.yaml.tmp-17", "");
  EXPECT_TRUE(is_run_directory(path_));
  EXPECT_TRUE(open_run(path_, StartMode::kResume).existed);
}

TEST_F(RunDirectoryTest, UnwritablePathIsAnError) {
  fs::create_directories(path_);
  write_text(path_ / "file", "x");
  for (const fs::path& bad : {path_ / "file", path_ / "file/run", fs::path("/proc/no-such-run")}) {
    const std::string message = error_of(ExitCode::kIo, [&] { open_run(bad, StartMode::kResume); });
    EXPECT_TRUE(contains(message, bad.string())) << message;
    EXPECT_FALSE(is_run_directory(bad));
  }
}

TEST_F(RunDirectoryTest, KeepsASymbolicLinkToADirectory) {
  const fs::path disk = scratch_ / "disk";
  const fs::path link = scratch_ / "link";
  make_run(disk);
  fs::create_directory_symlink(disk, link);
  const OpenRun run = open_run(link, StartMode::kFresh);
  EXPECT_TRUE(fs::is_symlink(link));
  EXPECT_EQ(read_file(disk.string() + ".old-1/config.yaml"), "old");
  EXPECT_TRUE(fs::is_empty(disk) || fs::exists(disk / "lock"));
}

// ---- the lock ----

// A child process that opens the run, signals this, and waits to be killed.
class Holder {
 public:
  explicit Holder(const fs::path& path) {
    int ends[2];
    if (::pipe(ends) != 0) throw std::runtime_error("pipe");
    pid_ = ::fork();
    if (pid_ == 0) {
      const OpenRun run = open_run(path, StartMode::kResume);
      if (::write(ends[1], "x", 1) == 1) ::pause();
      ::_exit(1);
    }
    ::close(ends[1]);
    char byte = 0;
    if (::read(ends[0], &byte, 1) != 1) throw std::runtime_error("the child did not get the lock");
    ::close(ends[0]);
  }
  ~Holder() { kill_now(); }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;
  ::pid_t pid() const { return pid_; }
  void kill_now() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  ::pid_t pid_ = -1;
};

TEST_F(RunDirectoryTest, RejectsASecondProcessNamingThePid) {
  make_run(path_);
  Holder holder(path_);
  for (const StartMode mode : {StartMode::kResume, StartMode::kFresh}) {
    const std::string message = error_of(ExitCode::kUsage, [&] { open_run(path_, mode); });
    EXPECT_TRUE(contains(message, cat("in use by pid ", holder.pid(), " on "))) << message;
  }
  EXPECT_TRUE(fs::exists(path_ / "config.yaml"));  // --fresh did not rename it
  holder.kill_now();
  EXPECT_TRUE(open_run(path_, StartMode::kResume).existed);  // kill -9 leaves no stale lock
}

TEST_F(RunDirectoryTest, ConcurrentFirstStartsCreateOneRun) {
  Holder holder(path_);
  const std::string message = error_of(ExitCode::kUsage, [&] { open_run(path_, StartMode::kNew); });
  EXPECT_TRUE(contains(message, std::to_string(holder.pid()))) << message;
}

TEST_F(RunDirectoryTest, LockIsReleasedWithTheObject) {
  make_run(path_);
  {
    OpenRun run = open_run(path_, StartMode::kResume);
    const OpenRun moved = std::move(run);
    error_of(ExitCode::kUsage, [&] { open_run(path_, StartMode::kResume); });
  }
  open_run(path_, StartMode::kResume);
}

TEST_F(RunDirectoryTest, FreshLocksTheNewRunAndUnlocksTheOld) {
  make_run(path_);
  const OpenRun run = open_run(path_, StartMode::kFresh);
  const std::string message =
      error_of(ExitCode::kUsage, [&] { open_run(path_, StartMode::kResume); });
  EXPECT_TRUE(contains(message, std::to_string(::getpid()))) << message;
  EXPECT_TRUE(open_run(run.renamed_to, StartMode::kResume).existed);
}

TEST_F(RunDirectoryTest, ConcurrentFreshStartsLoseNothing) {
  constexpr int kNumThreads = 8;
  make_run(path_, "original");
  std::atomic<int> num_opened = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kNumThreads; ++t) {
    threads.emplace_back([&, t] {
      try {
        const OpenRun run = open_run(path_, StartMode::kFresh);
        write_text(run.paths.config(), std::to_string(t));
        ++num_opened;
      } catch (const UserError&) {
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  int num_configs = 0;
  bool original = false;
  for (const auto& [name, content] : content_of_tree(path_.parent_path())) {
    num_configs += name.ends_with("config.yaml");
    original = original || content == "original";
  }
  EXPECT_GE(num_opened, 1);
  EXPECT_EQ(num_configs, 1 + num_opened);
  EXPECT_TRUE(original);
}

}  // namespace
}  // namespace sluice::store
