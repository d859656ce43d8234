// compare.tune in whole sessions with fake runs.
#include "base/text_format.h"
#include "tests/compare/session_fixture.h"

namespace sluice::compare {
namespace {

namespace fs = std::filesystem;
using testing::cells_like;

TEST_F(SessionTest, TuningChoosesTheLowestMeanPerVariant) {
  options_.config.tune =
      TuneConfig{.grid = {{{"optimizer.lr", {{"1e-3", false}, {"3e-3", false}, {"1e-2", false}}}}},
                 .seeds = {101, 102}};
  runs_.log_perplexity = {{"relu, 3e-3, seed 101", 2.8},
                          {"relu, 3e-3, seed 102", 2.9},
                          {"geglu, 1e-3, seed 101", 2.0},
                          {"geglu, 1e-2, seed 102", 1.0}};
  runs_.behavior = {{"geglu, 1e-2, seed 101", "diverge"}};
  const Tally tally = run();
  EXPECT_EQ(tally.num_finished, 11U + 4U);
  EXPECT_EQ(tally.num_diverged, 0U);  // a candidate that lost
  const report::Comparison comparison = report();
  EXPECT_EQ(comparison.variants[0].tuned, (report::Settings{{"optimizer.lr", "3e-3"}}));
  EXPECT_EQ(comparison.variants[1].tuned, (report::Settings{{"optimizer.lr", "1e-3"}}));
  ASSERT_EQ(comparison.tuning.size(), 6U);
  EXPECT_TRUE(comparison.tuning[1].chosen);
  EXPECT_EQ(comparison.tuning[1].log_perplexity, (std::vector<double>{2.8, 2.9}));
  EXPECT_EQ(comparison.tuning[5].remark, "1 of 2 diverged");
  EXPECT_NE(comparison.tuning_note.find("optimizer.lr from 1e-3, 3e-3, 1e-2"), std::string::npos);
  EXPECT_EQ(num_with(comparison, report::CellState::kFinished), 4U);
  EXPECT_EQ(run().num_finished, 15U);
  EXPECT_EQ(starts(""), 4U);
}

// compare.tune.repeat: each group of seeds has its own tuning seeds and its own choice.
TEST_F(SessionTest, GroupsOfSeedsAreTunedSeparately) {
  options_.config.seeds = {1, 2, 3, 4};
  options_.config.tune =
      TuneConfig{.grid = {{{"optimizer.lr", {{"1e-3", false}, {"3e-3", false}}}}},
                 .seeds = {101, 102},
                 .repeat = 2};
  runs_.log_perplexity = {{"relu, 3e-3, seed 102", 2.0}};
  for (const char* seed : {"1", "2", "3", "4"}) {
    runs_.log_perplexity[cat("relu, 1e-3, seed ", seed)] = 3.1;
    runs_.log_perplexity[cat("relu, 3e-3, seed ", seed)] = 3.2;
  }
  options_.seeds = {3};  // of the second group
  EXPECT_EQ(run().num_finished, 4U + 2U);
  EXPECT_EQ(cells_like(options_.directory / "tune", "relu-1e-3-seed-101").size(), 0U);
  report::Comparison comparison = report();
  EXPECT_EQ(comparison.seed_groups, 2U);
  EXPECT_TRUE(comparison.cells[0].directory.empty());   // not tuned yet
  EXPECT_FALSE(comparison.cells[3].directory.empty());  // relu, seed 4: tuned, not trained
  options_.seeds.clear();
  const Forecast rest = forecast(options_, runs_, /*measure=*/false);
  EXPECT_EQ(rest.num_tuning_cells, 8U);
  EXPECT_EQ(rest.num_done, 6U);
  EXPECT_DOUBLE_EQ(rest.smallest_p, 0.5);  // two groups
  EXPECT_EQ(run().num_finished, 8U + 8U);
  comparison = report();
  ASSERT_EQ(comparison.tuning.size(), 8U);
  for (std::size_t seed = 1; seed <= 4; ++seed)
    EXPECT_EQ(comparison.cells[seed - 1].log_perplexity, seed <= 2 ? 3.1 : 3.2) << seed;
  // The report belongs to these groups; another division is another plan.
  options_.config.tune->repeat = 1;
  EXPECT_NE(refusal().find("compare.tune.repeat: received 1; expected 2"), std::string::npos);
}

TEST_F(SessionTest, VariantWaitsIfTuningFailed) {
  options_.config.tune =
      TuneConfig{.grid = {{{"optimizer.lr", {{"1e-3", false}, {"3e-3", false}}}}}, .seeds = {101}};
  runs_.behavior = {{"relu, 3e-3, seed 101", "crash"}};
  const Tally tally = run();
  EXPECT_EQ(tally.num_failed, 1U);
  EXPECT_EQ(tally.num_waiting, 2U);
  const report::Comparison comparison = report();
  EXPECT_EQ(comparison.cells[0].state, report::CellState::kWaiting);
  EXPECT_EQ(comparison.cells[2].state, report::CellState::kFinished);
  runs_.behavior.clear();
  EXPECT_EQ(run().num_waiting, 0U);
}

TEST_F(SessionTest, VariantDivergesIfAllCandidatesDiverged) {
  options_.config.tune =
      TuneConfig{.grid = {{{"optimizer.lr", {{"1e-3", false}, {"3e-3", false}}}}}, .seeds = {101}};
  runs_.behavior = {{"relu, 1e-3, seed 101", "diverge"}, {"relu, 3e-3, seed 101", "diverge"}};
  const Tally tally = run();
  EXPECT_EQ(tally.num_failed, 0U);
  EXPECT_EQ(tally.num_waiting, 2U);
  const report::Comparison comparison = report();
  EXPECT_EQ(comparison.cells[0].state, report::CellState::kDiverged);
  EXPECT_EQ(comparison.cells[0].remark, "every candidate of compare.tune diverged");
  EXPECT_EQ(comparison.cells[2].state, report::CellState::kFinished);
}

// The error precedes the first tuning run and keeps existing results.
TEST_F(SessionTest, RejectsMixedEnvironmentsBeforeTuningAndKeepsResults) {
  options_.config.tune =
      TuneConfig{.grid = {{{"optimizer.lr", {{"1e-3", false}}}}}, .seeds = {101}};
  run();
  const auto num_tuned = [&] { return cells_like(options_.directory / "tune", "").size(); };
  EXPECT_EQ(num_tuned(), 2U);
  options_.config.vary.items[0].second.push_back({"glu", false});
  options_.config.seeds.push_back(3);
  options_.only = {"glu"};
  options_.seeds = {2, 3};
  runs_.env.threads = 2;
  EXPECT_NE(refusal().find("seed 2: 2 runs used Fake 9000, 1 thread"), std::string::npos);
  EXPECT_EQ(num_tuned(), 2U);
  options_.only.clear();
  EXPECT_NE(refusal().find("seed 101: 2 runs used"), std::string::npos);
  EXPECT_EQ(num_with(report(), report::CellState::kFinished), 4U);
  options_.only = {"glu"};
  options_.seeds = {3};
  EXPECT_EQ(run().num_finished, 2U);  // tuned, and run under the new seed
}

}  // namespace
}  // namespace sluice::compare
