// Messages about interrupted runs: only verified checkpoints count as saved.
#include "compare/saved_state.h"

#include <gtest/gtest.h>

#include <csignal>
#include <fstream>

#include "base/error.h"
#include "base/signals.h"
#include "base/text_format.h"
#include "store/run_directory.h"
#include "tests/base/temporary_directory.h"
#include "tests/store/store_support.h"

namespace sluice::compare {
namespace {

using Kind = StoppedRun::Kind;

constexpr int kInterrupted = static_cast<int>(ExitCode::kInterrupted);

class SavedState : public ::testing::Test {
 protected:
  void save(std::int64_t step) {
    const std::vector<store::CheckpointFile> files{
        store::text_file("model.safetensors", cat("weights of step ", step))};
    store::CheckpointStore(paths_.checkpoints()).save(step, files);
  }
  void train_to(std::int64_t steps) {
    std::ofstream file(paths_.metrics());
    for (std::int64_t step = 1; step <= steps; ++step)
      file << "{\"step\":" << step << ",\"loss\":4.5}\n";
  }
  void damage(std::int64_t step) {
    std::ofstream(paths_.checkpoints() / store::checkpoint_name(step) / "model.safetensors")
        << "damage";
  }
  void expect(int exit_code, Kind kind, const std::string& message) const {
    const StoppedRun stopped = stopped_run(paths_.root, exit_code);
    EXPECT_EQ(stopped.kind, kind) << stopped.message;
    EXPECT_EQ(stopped.message, message);
  }

  sluice::testing::TemporaryDirectory directory_;
  store::RunPaths paths_{directory_.path()};
};

TEST_F(SavedState, RecognizesAllStopSignals) {
  EXPECT_TRUE(is_stopped(kInterrupted));
  for (const StopSignal& stop : kStopSignals)
    EXPECT_TRUE(is_stopped(128 + stop.number)) << stop.name;
  for (const int code : {0, 1, 2, 74, 77, 127, 128 + SIGKILL, 128 + SIGSEGV})
    EXPECT_FALSE(is_stopped(code)) << code;
}

TEST_F(SavedState, LastStepIsSaved) {
  save(0);
  save(12);
  train_to(12);
  expect(kInterrupted, Kind::kSaved, "interrupted, step 12 saved");
}

TEST_F(SavedState, BeforeTheFirstStep) {
  expect(kInterrupted, Kind::kNotStarted, "interrupted before its first step");
  expect(128 + SIGTERM, Kind::kNotStarted,
         "interrupted: terminated by SIGTERM before its first step");
  save(0);
  expect(kInterrupted, Kind::kSaved, "interrupted, step 0 saved");
}

TEST_F(SavedState, TerminationByASignalSavesNothing) {
  save(10);
  train_to(12);
  expect(128 + SIGHUP, Kind::kUnsaved,
         "interrupted: terminated by SIGHUP; newest checkpoint: step 10");
}

TEST_F(SavedState, OlderOrDamagedCheckpointIsNotTheLastStep) {
  save(10);
  train_to(12);
  expect(kInterrupted, Kind::kUnsaved, "interrupted at step 12; newest checkpoint: step 10");
  save(12);
  damage(12);
  expect(kInterrupted, Kind::kUnsaved, "interrupted at step 12; newest checkpoint: step 10");
  damage(10);
  expect(kInterrupted, Kind::kUnsaved, "interrupted; no valid checkpoint");
}

}  // namespace
}  // namespace sluice::compare
