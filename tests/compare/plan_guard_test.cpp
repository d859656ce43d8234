// What is fixed before the first result: looks, spending, margin and seeds.
#include "compare/plan_guard.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "base/text_format.h"
#include "compare/collect.h"
#include "compare/session.h"
#include "report/analysis.h"
#include "tests/compare/fake_runs.h"

namespace sluice::compare {
namespace {

namespace fs = std::filesystem;

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
TEST_F(PlanGuardTest, SeedsAddedAfterAVerdictAreRecorded) {
  options_.config.seeds = {1, 2, 3, 4, 5};
  run();
  options_.config.seeds = {1, 2, 3, 4, 5, 6};
  run();
  EXPECT_TRUE(report().plan_changes.empty());
  EXPECT_TRUE(report::analyze(report()).is_tested());
  options_.config.seeds.push_back(7);
  run();
  const std::vector<std::string> expected{
      "seeds were added after a verdict on 6 seeds was possible"};
  EXPECT_EQ(report().plan_changes, expected);
  run();
  EXPECT_EQ(report().plan_changes, expected) << "recorded once, and kept";
}

TEST_F(PlanGuardTest, RemovedSeedsAreRecorded) {
  run();
  options_.config.seeds = {1, 2, 3, 4, 5, 7};
  run();
  const std::vector<std::string> changes = report().plan_changes;
  ASSERT_EQ(changes.size(), 2U);
  EXPECT_EQ(changes[0], "seed 6 was removed after it had results");
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

TEST_F(PlanGuardTest, RemovedVariantsAreRecorded) {
  options_.config.vary.items[0].second.push_back({"glu", false});
  run();
  options_.config.vary.items[0].second.pop_back();
  run();
  EXPECT_EQ(report().plan_changes,
            (std::vector<std::string>{"glu was removed after it had results"}));
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

TEST(PlanText, DifferencesAreNamed) {
  report::ComparisonInfo info;
  info.looks = {2, 3};
  info.seeds = {1, 2, 3};
  const report::Settings relu{{"model.ffn", "relu"}}, geglu{{"model.ffn", "geglu"}};
  const std::string plan = plan_text(info, relu);
  EXPECT_EQ(plan_difference(plan, plan), "");
  EXPECT_EQ(plan_difference("", plan), "");
  EXPECT_EQ(plan_difference(plan, plan_text(info, geglu)), "baseline relu instead of geglu");
  info.seeds = {3, 2, 1};
  EXPECT_EQ(plan_difference(plan, plan_text(info, relu)), "seeds [1, 2, 3] instead of [3, 2, 1]");
  info.looks.clear();
  EXPECT_NE(plan_difference(plan, plan_text(info, relu)), "");
  EXPECT_NE(plan_difference(plan_text(info, relu), plan), "");
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
