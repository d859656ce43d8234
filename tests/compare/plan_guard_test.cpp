// What is fixed before the first result: looks, spending, margin and seeds.
#include "compare/plan_guard.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "base/text_format.h"
#include "compare/collect.h"
#include "compare/session.h"
#include "config/config.h"
#include "report/analysis.h"
#include "tests/compare/fake_runs.h"

namespace sluice::compare {
namespace {

namespace fs = std::filesystem;

std::string indented(const std::string& lines) {
  std::string text;
  std::istringstream in(lines);
  for (std::string line; std::getline(in, line);) text += cat("  ", line, '\n');
  return text;
}

class PlanGuardTest : public ::testing::Test {
 protected:
  PlanGuardTest() {
    options_.config = testing::two_variants({1, 2, 3, 4, 5, 6});
    options_.directory = directory_ / "out";
    options_.command = "sluice compare x.yaml";
    for (int seed = 1; seed <= 8; ++seed)
      runs_.log_perplexity[cat("geglu, seed ", seed)] = 2.9 + 0.001 * seed * seed;
  }
  void run(std::vector<std::uint64_t> seeds = {}) {
    options_.seeds = std::move(seeds);
    run_session(options_, runs_);
  }
  report::Comparison report() const { return collect(std::vector<fs::path>{options_.directory}); }
  std::string refusal() {
    try {
      run();
    } catch (const UserError& error) {
      EXPECT_EQ(error.code(), ExitCode::kUsage) << error.what();
      return error.what();
    }
    return "not refused";
  }

  sluice::testing::TemporaryDirectory directory_;
  testing::FakeRuns runs_{directory_ / "fake"};
  SessionOptions options_;
};

TEST_F(PlanGuardTest, ThePlanIsStored) {
  options_.config.looks = {3, 6};
  options_.config.spending = stats::Spending::kPocock;
  options_.config.margin = 0.02;
  run({1});
  const report::Comparison comparison = report();
  EXPECT_EQ(comparison.looks, (std::vector<std::int64_t>{3, 6}));
  EXPECT_EQ(comparison.spending, stats::Spending::kPocock);
  EXPECT_EQ(comparison.margin, 0.02);
  EXPECT_TRUE(comparison.plan_changes.empty());
}

TEST_F(PlanGuardTest, AChangedPlanIsRefusedOnceThereAreResults) {
  options_.config.looks = {3, 6};
  run({1});
  options_.config.looks = {2, 6};
  EXPECT_NE(refusal().find("compare.looks: received [2, 6]; expected [3, 6], as fixed before"),
            std::string::npos);
  options_.config.looks.clear();
  EXPECT_NE(refusal().find("compare.looks: received no looks"), std::string::npos);
  options_.config.looks = {3, 6};
  options_.config.spending = stats::Spending::kPocock;
  EXPECT_NE(refusal().find("compare.spending: received pocock"), std::string::npos);
  options_.config.spending = stats::Spending::kObrienFleming;
  options_.config.margin = 0.05;
  EXPECT_NE(refusal().find("compare.margin: received 0.05; expected no margin"), std::string::npos);
  options_.config.margin.reset();
  run({2});
  EXPECT_EQ(report().looks, (std::vector<std::int64_t>{3, 6}));
}

TEST_F(PlanGuardTest, WithoutResultsThePlanMayChange) {
  for (int seed = 1; seed <= 6; ++seed) runs_.behavior[cat("relu, seed ", seed)] = "crash";
  options_.only = {"relu"};
  run({1});
  options_.config.looks = {3, 6};
  run({1});
  EXPECT_EQ(report().looks.size(), 2U);
}

// Five seeds cannot give a verdict, so seeds may be added to them; six can.
TEST_F(PlanGuardTest, AddedSeedsAreAChange) {
  options_.config.seeds = {1, 2, 3, 4, 5};
  run();
  options_.config.seeds = {1, 2, 3, 4, 5, 6};
  run();
  EXPECT_TRUE(report().plan_changes.empty());
  EXPECT_EQ(report().extended_plans, (std::vector<std::string>{"seeds [1, 2, 3, 4, 5]"}));
  EXPECT_TRUE(report::analyze(report()).is_tested());
  options_.config.seeds.push_back(7);
  run();
  EXPECT_EQ(report().plan_changes,
            (std::vector<std::string>{"runs were made under another plan: seeds [1, 2, 3, 4, 5, 6] "
                                      "instead of [1, 2, 3, 4, 5, 6, 7]"}));
}

TEST_F(PlanGuardTest, RemovedSeedsAreAChange) {
  run();
  options_.config.seeds = {1, 2, 3, 4, 5, 7};
  run();
  EXPECT_EQ(report().plan_changes,
            (std::vector<std::string>{"runs were made under another plan: seeds [1, 2, 3, 4, 5, 6] "
                                      "instead of [1, 2, 3, 4, 5, 7]"}));
}

// A mistyped configuration that trains nothing does no lasting harm.
TEST_F(PlanGuardTest, ThePlanOfTheRunsCanBeRestored) {
  run();
  options_.config.seeds = {1, 2, 3};
  run();
  EXPECT_EQ(report().plan_changes.size(), 1U);
  options_.config.seeds = {1, 2, 3, 4, 5, 6};
  run();
  EXPECT_TRUE(report().plan_changes.empty());
}

// Runs of earlier versions do not tell their seeds, so comparison.json records the changes.
TEST_F(PlanGuardTest, ChangesAreRecordedForRunsWithoutAPlan) {
  run();
  for (const fs::path& cell : testing::cells_like(options_.directory / "cells", "")) {
    CellRecord record = *read_record(cell / "cell.json");
    record.plan.clear();
    record.seal.reset();
    write_record(record, cell / "cell.json");
  }
  options_.config.seeds = {1, 2, 3, 4, 5, 7};
  options_.config.vary.items[0].second.push_back({"glu", false});
  run();
  const std::vector<std::string> expected{"seed 6 was removed after results were known",
                                          "glu was added after results were known",
                                          "seeds were added to the planned 6 after results were "
                                          "known"};
  EXPECT_EQ(report().plan_changes, expected);
  run();
  EXPECT_EQ(report().plan_changes, expected) << "recorded once, and kept";
}

// The evaluations of an unfinished run tell what its result will be.
TEST_F(PlanGuardTest, EvaluationsCountAsResults) {
  runs_.behavior["relu, seed 1"] = "crash";
  options_.only = {"relu"};
  run({1});
  const fs::path cell = testing::cells_like(options_.directory / "cells", "relu-seed-1").at(0);
  std::ofstream(cell / "run" / "metrics.jsonl", std::ios::app)
      << "{\"step\":2,\"eval\":{\"log_perplexity\":3.1}}\n";
  options_.config.margin = 0.05;
  EXPECT_NE(refusal().find("compare.margin: received 0.05; expected no margin"), std::string::npos);
  // If comparison.json is lost, the run keeps the plan of its first start.
  fs::remove(options_.directory / "comparison.json");
  runs_.behavior.clear();
  options_.only.clear();
  run();
  EXPECT_EQ(
      report().plan_changes,
      (std::vector<std::string>{"runs were made under another plan: margin none instead of 0.05"}));
}

// A run without its record has no plan, so it is trained again under the new one.
TEST_F(PlanGuardTest, RunsWithoutARecordStartAgain) {
  run({1});
  fs::remove(options_.directory / "comparison.json");
  const auto cells = testing::cells_like(options_.directory / "cells", "");
  for (const fs::path& cell : cells) {
    fs::remove(cell / "cell.json");
    std::ofstream(cell / "run" / "old");
  }
  options_.config.margin = 0.05;
  run({1});
  EXPECT_TRUE(report().plan_changes.empty());
  for (const fs::path& cell : cells) EXPECT_FALSE(fs::exists(cell / "run" / "old"));
}

TEST_F(PlanGuardTest, MetricBaselineAverageAndOrderAreFixedToo) {
  options_.config.looks = {3, 6};
  run({1});
  options_.config.metric = Metric::kBitsPerByte;
  EXPECT_NE(refusal().find("compare.metric: received bits_per_byte; expected log_perplexity"),
            std::string::npos);
  options_.config.metric = Metric::kLogPerplexity;
  options_.config.average_last = 2;
  EXPECT_NE(refusal().find("compare.average_last: received 2; expected 1"), std::string::npos);
  options_.config.average_last.reset();
  options_.config.baseline.items = {{"model.ffn", {"geglu", false}}};
  EXPECT_NE(refusal().find("compare.baseline: received geglu; expected relu"), std::string::npos);
  options_.config.baseline.items.clear();
  // A look judges the first seeds of the list.
  options_.config.seeds = {1, 2, 3, 6, 5, 4};
  EXPECT_NE(refusal().find("compare.seeds: received [1, 2, 3, 6, 5, 4]; expected [1, 2, 3, 4, 5"),
            std::string::npos);
}

TEST_F(PlanGuardTest, WithoutLooksTheOrderOfSeedsIsFree) {
  run();
  options_.config.seeds = {6, 5, 4, 3, 2, 1};
  run();
  EXPECT_TRUE(report().plan_changes.empty());
}

TEST_F(PlanGuardTest, RemovedVariantsAreAChange) {
  options_.config.vary.items[0].second.push_back({"glu", false});
  run();
  options_.config.vary.items[0].second.pop_back();
  run();
  EXPECT_EQ(report().plan_changes,
            (std::vector<std::string>{"runs were made under another plan: variants relu | geglu | "
                                      "glu instead of relu | geglu"}));
}

// Judging one variant after the other is optional stopping.
TEST_F(PlanGuardTest, AddedVariantsAreAChange) {
  run({1});
  options_.config.vary.items[0].second.push_back({"glu", false});
  run();
  EXPECT_EQ(report().plan_changes,
            (std::vector<std::string>{"runs were made under another plan: variants relu | geglu "
                                      "instead of relu | geglu | glu"}));
}

TEST_F(PlanGuardTest, ASmallPlanMayBeExtendedByVariants) {
  options_.config.seeds = {1, 2};
  run();
  options_.config.vary.items[0].second.push_back({"glu", false});
  run();
  EXPECT_TRUE(report().plan_changes.empty());
  EXPECT_EQ(report().extended_plans, (std::vector<std::string>{"variants relu | geglu"}));
}

TEST_F(PlanGuardTest, TuningIsFixedToo) {
  options_.config.tune = TuneConfig{.grid = {{{"optimizer.lr", {{"1", false}}}}}, .seeds = {101}};
  run({1});
  options_.config.tune->grid.items[0].second.push_back({"2", false});
  EXPECT_NE(refusal().find("compare.tune: received optimizer.lr from 1, 2 over seeds [101]; "
                           "expected optimizer.lr from 1 over seeds [101], as fixed before"),
            std::string::npos);
  options_.config.tune->grid.items[0].second.pop_back();
  options_.config.tune->seeds = {102};
  EXPECT_NE(refusal().find("over seeds [102]; expected "), std::string::npos);
}

// Once their results are known, also if no other run has one.
TEST_F(PlanGuardTest, TuningIsFixedByItsOwnResults) {
  for (const char* label : {"relu, 1, seed 1", "geglu, 1, seed 1"}) runs_.behavior[label] = "crash";
  options_.config.tune = TuneConfig{.grid = {{{"optimizer.lr", {{"1", false}}}}}, .seeds = {101}};
  run({1});
  options_.config.margin = 0.05;  // still free
  options_.config.tune->grid.items[0].second.push_back({"2", false});
  EXPECT_NE(refusal().find("compare.tune: received "), std::string::npos);
  options_.config.tune->grid.items[0].second.pop_back();
  run({1});
  EXPECT_EQ(report().margin, 0.05);
}

// The runs know the plan under which they were made.
TEST_F(PlanGuardTest, WithoutTheFileThePlanOfTheRunsIsCompared) {
  run();
  for (const char* text : {"", "{"}) {
    fs::remove(options_.directory / "comparison.json");
    if (*text != '\0') std::ofstream(options_.directory / "comparison.json") << text;
    options_.config.margin.reset();
    run();
    EXPECT_TRUE(report().plan_changes.empty());
    fs::remove(options_.directory / "comparison.json");
    options_.config.margin = 0.5;
    run();
    EXPECT_EQ(report().plan_changes,
              (std::vector<std::string>{
                  "runs were made under another plan: margin none instead of 0.5"}));
  }
}

// Seeds and variants, too: a file that lists fewer is contradicted by the runs that are left.
TEST_F(PlanGuardTest, TheRunsKnowSeedsAndVariants) {
  options_.config.vary.items[0].second.push_back({"glu", false});
  run();
  fs::remove(options_.directory / "comparison.json");
  options_.config.vary.items[0].second.pop_back();
  options_.config.seeds = {1, 2, 3, 4, 5, 6, 7};
  run();
  EXPECT_EQ(report().plan_changes,
            (std::vector<std::string>{
                "runs were made under another plan: seeds [1, 2, 3, 4, 5, 6] instead of "
                "[1, 2, 3, 4, 5, 6, 7], variants relu | geglu | glu instead of relu | geglu"}));
}

// comparison.json repeats what its configuration says.
TEST_F(PlanGuardTest, AFileThatContradictsItsConfigurationIsDamaged) {
  options_.config.margin = 0.01;
  const std::string section = config::to_yaml(options_.config, config::Comments::kNone);
  options_.config_text = cat("run: {name: x}\ncompare:\n", indented(section));
  run();
  EXPECT_EQ(report().margin, 0.01);
  const fs::path file = options_.directory / "comparison.json";
  std::string text = read_file(file);
  text.replace(text.find("\"margin\": 0.01"), 14, "\"margin\": 0.05");
  std::ofstream(file) << text;
  try {
    report();
    ADD_FAILURE() << "not refused";
  } catch (const UserError& error) {
    EXPECT_EQ(error.code(), ExitCode::kBadData);
    EXPECT_NE(std::string(error.what()).find("margin 0.05 instead of 0.01 in its config"),
              std::string::npos)
        << error.what();
  }
}

// Other settings are another comparison.
TEST_F(PlanGuardTest, AnotherComparisonInTheDirectoryIsFree) {
  run({1});
  runs_.extra = "dropout: 0.1";
  options_.config.looks = {3, 6};
  run({1});
  EXPECT_EQ(report().looks.size(), 2U);
}

}  // namespace
}  // namespace sluice::compare
