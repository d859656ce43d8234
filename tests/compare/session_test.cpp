// Whole sessions with fake runs: new and finished cells, errors, forecasts.
#include "compare/session.h"

#include <gtest/gtest.h>

#include <cmath>
#include <csignal>
#include <fstream>
#include <functional>

#include "base/error.h"
#include "base/signals.h"
#include "compare/collect.h"
#include "store/run_directory.h"
#include "tests/compare/session_fixture.h"

namespace sluice::compare {
namespace {

namespace fs = std::filesystem;
using testing::cells_like;
using testing::FakeRuns;
using testing::num_starts;
using testing::two_variants;

TEST_F(SessionTest, RunsTheGridAndCollectsIt) {
  runs_.log_perplexity = {{"geglu, seed 2", 2.5}};
  EXPECT_EQ(run().num_finished, 4U);
  const report::Comparison comparison = report();
  ASSERT_EQ(comparison.cells.size(), 4U);
  EXPECT_EQ(num_with(comparison, report::CellState::kFinished), 4U);
  EXPECT_EQ(comparison.cells[3].log_perplexity, 2.5);
  EXPECT_EQ(comparison.cells[3].seed, 2U);
  EXPECT_EQ(comparison.cells[3].documents.size(), 1U);
  EXPECT_EQ(comparison.cells[3].env.cpu, "Fake 9000");
  EXPECT_EQ(comparison.cells[0].training.size(), 10U);
  EXPECT_EQ(comparison.cells[0].training.back().seconds, 5.0);
  EXPECT_EQ(comparison.cells[0].held_out.back().log_perplexity, 3.0);
  EXPECT_EQ(comparison.name, "test");
  EXPECT_EQ(comparison.config, "the configuration");
  EXPECT_TRUE(
      fs::exists(options_.directory / comparison.cells[0].directory / "run" / "result.json"));
}

TEST_F(SessionTest, FinishedCellsAreKeptAndAChangedConfigurationAddsCells) {
  run();
  run();
  EXPECT_EQ(starts("relu-seed-1-"), 1U);
  runs_.extra = "dropout: 0.1";
  run();
  EXPECT_EQ(cells_like(options_.directory / "cells", "relu-seed-1-").size(), 2U);
  EXPECT_EQ(starts("relu-seed-1-"), 2U);
  EXPECT_EQ(report().cells.size(), 4U);  // the old ones are kept, but not included
}

TEST_F(SessionTest, OnlyAndSeedsMerge) {
  options_.only = {"geglu"};
  options_.seeds = {2};
  EXPECT_EQ(run().num_finished, 1U);
  EXPECT_EQ(num_with(report(), report::CellState::kWaiting), 3U);
  options_.only.clear();
  EXPECT_EQ(run().num_finished, 2U);
  options_.seeds.clear();
  EXPECT_EQ(run().num_finished, 4U);
  EXPECT_EQ(starts(""), 4U);
  options_.seeds = {3};
  EXPECT_NE(refusal().find("--seeds: received 3; expected seeds of compare.seeds (1, 2)"),
            std::string::npos);
}

TEST_F(SessionTest, DivergedAndFailedCellsAreShown) {
  runs_.behavior = {{"relu, seed 1", "diverge"}, {"geglu, seed 2", "crash"}};
  const Tally tally = run();
  EXPECT_EQ(tally.num_diverged, 1U);
  EXPECT_EQ(tally.num_failed, 1U);
  const report::Comparison comparison = report();
  EXPECT_EQ(comparison.cells[0].state, report::CellState::kDiverged);
  EXPECT_EQ(comparison.cells[0].remark, "training: a loss of NaN");
  EXPECT_EQ(comparison.cells[3].state, report::CellState::kFailed);
  EXPECT_EQ(comparison.cells[0].training.size(), 2U);
}

TEST_F(SessionTest, RejectsMixedEnvironmentsWithinASeed) {
  options_.seeds = {1};
  options_.only = {"relu"};
  run();
  options_.only.clear();
  options_.seeds.clear();
  runs_.env.threads = 2;
  EXPECT_EQ(refusal(),
            "seed 1: 1 run used Fake 9000, 1 thread, cpu, fp32, but this session would use Fake "
            "9000, 2 threads, cpu, fp32; all runs of a seed need the same environment: choose "
            "other seeds (--seeds) or pass --set train.threads=1");
  runs_.env = {.cpu = "Other", .device = "cpu", .precision = "bf16", .threads = 1};
  EXPECT_NE(refusal().find("choose other seeds (--seeds) here and continue this one on the "
                           "original machine"),
            std::string::npos);
  EXPECT_EQ(starts(""), 1U);  // nothing was started
  options_.seeds = {2};       // another seed may use another environment
  EXPECT_EQ(run().num_finished, 2U);
}

TEST_F(SessionTest, FinishedSeedsCanBeReadOnAnyMachine) {
  run();
  runs_.env.cpu = "Other";
  EXPECT_EQ(run().num_finished, 4U);
  EXPECT_EQ(report().cells[0].env.cpu, "Fake 9000");
}

TEST_F(SessionTest, RejectsDifferentTokenizers) {
  runs_.tokenizer = {{"geglu", "t2"}};
  EXPECT_NE(refusal().find("compare.metric: received log_perplexity with different tokenizers for "
                           "relu and geglu; expected bits_per_byte"),
            std::string::npos);
  EXPECT_FALSE(fs::exists(options_.directory / "cells"));
}

TEST_F(SessionTest, RejectsDirectoriesInUseAndRunDirectories) {
  fs::create_directories(options_.directory);
  {
    const store::RunLock lock(options_.directory);
    EXPECT_NE(refusal().find("in use by pid"), std::string::npos);
  }
  std::ofstream(options_.directory / "run.json") << "{}";
  std::ofstream(options_.directory / "config.yaml") << "";
  std::ofstream(options_.directory / "metrics.jsonl") << "";
  EXPECT_NE(refusal().find("belongs to a single run"), std::string::npos);
}

TEST_F(SessionTest, RejectsMixedExecution) {
  runs_.env.micro_batch_sequences = 4;
  options_.only = {"relu"};
  run();
  options_.only.clear();
  runs_.env.micro_batch_sequences = 1;
  runs_.env.repeatable = false;
  EXPECT_NE(refusal().find("=4 train.deterministic=true"), std::string::npos);
  runs_.env.gpu = "NVIDIA X";
  EXPECT_NE(refusal().find("would use Fake 9000, 1 thread, NVIDIA X, fp32"), std::string::npos);
}

TEST_F(SessionTest, IgnoresAnEmptyRecord) {
  run();
  fs::create_directories(options_.directory / "cells" / "old-seed-9-00000000");
  std::ofstream(options_.directory / "cells" / "old-seed-9-00000000" / "cell.json") << "";
  EXPECT_EQ(run().num_finished, 4U);
}

TEST_F(SessionTest, EqualTimeSetsStepsOnce) {
  options_.config.equalize = Equalize::kTime;
  runs_.steps = 12;
  runs_.step_s = {{"relu", 0.1}, {"geglu", 0.15}};
  EXPECT_EQ(run().num_finished, 4U);
  EXPECT_EQ(report().cells[0].steps, 12);
  EXPECT_EQ(report().cells[2].steps, 8);
  runs_.step_s = {{"relu", 0.2}, {"geglu", 0.2}};  // another machine
  EXPECT_EQ(run().num_finished, 4U);
  EXPECT_EQ(starts(""), 4U);
  for (const bool measure : {false, true}) {  // forecasts use the saved times, too
    const Forecast later = forecast(options_, runs_, measure);
    EXPECT_EQ(later.variants[1].facts.steps, 8);
    EXPECT_EQ(later.num_done, 4U);
  }
  // A variant added later is scaled by the baseline.
  options_.config.vary.items[0].second.push_back({"glu", false});
  runs_.step_s["glu"] = 0.4;
  EXPECT_EQ(run().num_finished, 6U);
  EXPECT_EQ(report().cells[4].steps, 6);
}

TEST_F(SessionTest, MeasuredJobsAreSaved) {
  options_.jobs = 0;
  EXPECT_EQ(run().num_finished, 4U);
  runs_.measured = "no device";  // another measurement would fail
  EXPECT_EQ(run().num_finished, 4U);
}

TEST_F(SessionTest, RejectsUnknownSettingsBeforeWritingAnything) {
  class Strict final : public RunFactory {
   public:
    void prepare(const RunRequest&) override {}
    RunFacts make(const RunRequest& request) override {
      if (!request.settings.empty())
        fail(ExitCode::kUsage, "model.fnn", "unknown key; expected model.ffn");
      return {};
    }
    std::vector<std::string> train_command(const fs::path&, const fs::path&) const override {
      return {};
    }
    std::vector<std::string> measure_command(const fs::path&) const override { return {}; }
    std::vector<std::string> worker_command() const override { return {}; }
  };
  Strict strict;
  EXPECT_THROW(run_session(options_, strict), UserError);
  EXPECT_FALSE(fs::exists(options_.directory));
}

TEST_F(SessionTest, KeepsCommandsOfSessionsThatRanCells) {
  options_.seeds = {1};
  run();
  options_.command = "sluice compare x.yaml --json";  // finds everything done
  run();
  options_.command = "sluice compare x.yaml --seeds 2";
  options_.seeds = {2};
  run();
  const std::vector<std::string> both{"sluice compare x.yaml", "sluice compare x.yaml --seeds 2"};
  EXPECT_EQ(report().commands, both);
  options_.config.vary.items[0].second.push_back({"glu", false});  // continues with their runs
  options_.seeds.clear();
  run();
  EXPECT_EQ(report().commands, both);  // already listed
  runs_.extra = "dropout: 0.1";        // different runs
  options_.command = "sluice compare y.yaml";
  run();
  EXPECT_EQ(report().commands, std::vector<std::string>{"sluice compare y.yaml"});
}

TEST_F(SessionTest, WarnsOfVariantsWithIdenticalSettings) {
  runs_.one_identity = true;
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(run().num_finished, 4U);
  EXPECT_NE(::testing::internal::GetCapturedStderr().find(
                "warning: relu and geglu are the same settings: their difference will be 0"),
            std::string::npos);
  EXPECT_EQ(num_with(report(), report::CellState::kFinished), 4U);
}

TEST_F(SessionTest, RejectedSessionRemovesItsDirectories) {
  options_.directory = directory_ / "new" / "out";
  options_.config.equalize = Equalize::kTime;
  runs_.measured = "no device";
  EXPECT_NE(refusal().find("timing relu"), std::string::npos);
  EXPECT_FALSE(fs::exists(directory_ / "new"));
  fs::create_directories(directory_ / "new" / "out");  // not created by the session
  EXPECT_NE(refusal().find("timing relu"), std::string::npos);
  EXPECT_TRUE(fs::exists(directory_ / "new" / "out"));
  runs_.measured.clear();
  runs_.step_s = {{"geglu", std::nan("")}};  // measuring jobs succeeds, timing steps fails
  options_.directory = directory_ / "newer" / "out";
  options_.jobs = 0;
  EXPECT_NE(refusal().find("timing geglu"), std::string::npos);
  EXPECT_FALSE(fs::exists(directory_ / "newer"));
}

TEST_F(SessionTest, ForecastRejectsTheSameTuningAsASession) {
  options_.config.tune = TuneConfig{.grid = {{{"optimizer.lr", {{"0", false}}}}}, .seeds = {101}};
  runs_.refused = "optimizer.lr=0";
  EXPECT_THROW(forecast(options_, runs_, /*measure=*/false), UserError);
  EXPECT_NE(refusal().find("optimizer.lr"), std::string::npos);
  EXPECT_FALSE(fs::exists(options_.directory));
}

TEST_F(SessionTest, ForecastCountsFinishedTuningRuns) {
  options_.config.tune =
      TuneConfig{.grid = {{{"optimizer.lr", {{"1e-3", false}, {"3e-3", false}}}}}, .seeds = {101}};
  runs_.behavior = {{"relu, 3e-3, seed 101", "crash"}, {"geglu, 3e-3, seed 101", "diverge"}};
  run();  // relu waits; geglu finishes its tuning runs and both seeds
  const Forecast all = forecast(options_, runs_, /*measure=*/false);
  EXPECT_EQ(all.num_cells, 4U);
  EXPECT_EQ(all.num_tuning_cells, 4U);
  EXPECT_EQ(all.num_done, 1U + 4U);
  options_.only = {"geglu"};
  EXPECT_EQ(forecast(options_, runs_, /*measure=*/false).seconds, 0.0);
}

TEST_F(SessionTest, ForecastsCost) {
  options_.config.assumed_std = "0.005";
  const Forecast before = forecast(options_, runs_, /*measure=*/true);
  EXPECT_FALSE(fs::exists(options_.directory));
  EXPECT_EQ(before.num_cells, 4U);
  EXPECT_FALSE(before.num_done);  // data not prepared
  EXPECT_DOUBLE_EQ(before.flops.value(), 4 * 10 * 10 * 6e3);
  EXPECT_NEAR(before.seconds.value(), 4 * 10 * 0.1, 1e-9);
  EXPECT_FALSE(before.detectable_difference) << "two seeds cannot detect anything";
  options_.seeds = {1};
  run();
  options_.seeds.clear();
  const Forecast after = forecast(options_, runs_, /*measure=*/false);
  EXPECT_EQ(after.num_done, 2U);
  EXPECT_NEAR(after.seconds.value(), 2 * 10 * 0.5, 1e-9);  // finished runs: 5 s for 10 steps
  options_.config.assumed_std = (directory_ / "nowhere").string();
  EXPECT_THROW(forecast(options_, runs_, false), UserError);
}

}  // namespace
}  // namespace sluice::compare
