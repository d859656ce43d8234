// collect(): curves, merging, speed.
#include "compare/collect.h"

#include <gtest/gtest.h>

#include <ctime>
#include <fstream>
#include <functional>
#include <map>
#include <optional>

#include "base/error.h"
#include "base/text_format.h"
#include "compare/cell.h"
#include "compare/plan_text.h"
#include "compare/session.h"
#include "store/run_result.h"
#include "tests/compare/fake_runs.h"

namespace sluice::compare {
namespace {

namespace fs = std::filesystem;

#ifdef __SANITIZE_ADDRESS__
constexpr double kSlowdown = 10;
#else
constexpr double kSlowdown = 1;
#endif

class CollectTest : public ::testing::Test {
 protected:
  fs::path session(const std::string& name, std::vector<std::uint64_t> seeds,
                   const std::string& cpu = "Fake 9000") {
    testing::FakeRuns runs(directory_ / "fake");
    runs.env.cpu = cpu;
    runs.extra = extra_;
    runs.step_s = step_s_;
    runs.log_perplexity = log_perplexity_;
    runs.behavior = behavior_;
    SessionOptions options{.config = testing::two_variants(std::move(seeds)),
                           .name = name,
                           .command = "on " + cpu,
                           .directory = directory_ / name,
                           .only = only_,
                           .seeds = only_seeds_};
    options.config.equalize = equalize_;
    options.config.tune = tune_;
    options.config.looks = looks_;
    EXPECT_FALSE(run_session(options, runs).interrupted);
    return options.directory;
  }
  std::string refusal(const fs::path& a, const fs::path& b) {
    const std::vector<fs::path> both{a, b};
    try {
      collect(both);
    } catch (const UserError& error) {
      EXPECT_EQ(error.code(), ExitCode::kUsage);
      return error.what();
    }
    return "accepted";
  }
  sluice::testing::TemporaryDirectory directory_;
  std::string extra_;
  std::vector<std::string> only_;
  std::vector<std::uint64_t> only_seeds_, looks_;
  std::map<std::string, double> step_s_, log_perplexity_;
  std::map<std::string, std::string> behavior_;
  Equalize equalize_ = Equalize::kSteps;
  std::optional<TuneConfig> tune_;
};

TEST_F(CollectTest, MergesDirectoriesWithDifferentSeeds) {
  const std::vector<fs::path> both{session("a", {1, 2}), session("b", {2, 3}, "Other")};
  const report::Comparison comparison = collect(both);
  EXPECT_EQ(comparison.seeds, (std::vector<std::uint64_t>{1, 2, 3}));
  ASSERT_EQ(comparison.cells.size(), 6U);
  for (const report::CellResult& cell : comparison.cells) {
    EXPECT_EQ(cell.state, report::CellState::kFinished);
    EXPECT_EQ(cell.env.cpu, cell.seed == 3 ? "Other" : "Fake 9000");
    EXPECT_TRUE(fs::exists(both[0] / cell.directory / "cell.json")) << cell.directory;
  }
  EXPECT_EQ(comparison.commands, (std::vector<std::string>{"on Fake 9000", "on Other"}));
}

// Seeds that were planned apart may have been chosen by their results; parts of one plan were not.
TEST_F(CollectTest, SeedsPlannedApartVoidTheErrorRate) {
  const std::vector<fs::path> apart{session("a", {1, 2}), session("b", {3, 4}, "Other")};
  EXPECT_EQ(collect(apart).plan_changes,
            (std::vector<std::string>{
                "directories with different seeds were merged: [1, 2] and [3, 4]"}));
  only_seeds_ = {1, 2};
  const fs::path first = session("c", {1, 2, 3, 4});
  only_seeds_ = {3, 4};
  const std::vector<fs::path> parts{first, session("d", {1, 2, 3, 4}, "Other")};
  const report::Comparison comparison = collect(parts);
  EXPECT_TRUE(comparison.plan_changes.empty());
  for (const report::CellResult& cell : comparison.cells)
    EXPECT_EQ(cell.state, report::CellState::kFinished);
}

// A look judges the first seeds of the list.
TEST_F(CollectTest, RejectsOtherSeedsWithLooks) {
  looks_ = {2};
  const fs::path a = session("a", {1, 2});
  EXPECT_NE(refusal(a, session("b", {2, 3}))
                .find("received seeds [2, 3] instead of [1, 2], of "
                      "which looks judge the first"),
            std::string::npos);
}

TEST_F(CollectTest, RejectsDifferentGrids) {
  const auto tune = [](std::vector<config::Word> values) {
    return TuneConfig{.grid = {{{"optimizer.lr", std::move(values)}}}, .seeds = {101}};
  };
  tune_ = tune({{"1", false}, {"3", false}});
  const fs::path a = session("a", {1});
  tune_ = tune({{"1", false}});
  EXPECT_NE(refusal(a, session("b", {1})).find("received tuning optimizer.lr from 1 over seeds"),
            std::string::npos);
}

TEST_F(CollectTest, RejectsDifferentComparisons) {
  const fs::path a = session("a", {1});
  extra_ = "dropout: 0.1";
  const fs::path b = session("b", {2});
  const std::vector<fs::path> both{a, b}, none{directory_ / "nowhere"};
  EXPECT_THROW(collect(both), UserError);
  EXPECT_THROW(collect(none), UserError);
}

TEST_F(CollectTest, RejectsASeedFromTwoMachines) {
  only_ = {"relu"};
  const fs::path a = session("a", {1});
  only_ = {"geglu"};
  const fs::path b = session("b", {1}, "Other");
  EXPECT_NE(refusal(a, b).find("seed 1: received runs with Fake 9000, 1 thread, cpu, fp32 and with "
                               "Other, 1 thread, cpu, fp32; expected the same environment"),
            std::string::npos);
  const fs::path c = session("c", {1});
  EXPECT_EQ(refusal(a, c), "accepted");
}

// A run that never started has no environment.
TEST_F(CollectTest, MergesVariantsWithoutTunedValues) {
  tune_ = TuneConfig{.grid = {{{"optimizer.lr", {{"1e-3", false}}}}}, .seeds = {101}};
  behavior_ = {{"geglu, 1e-3, seed 101", "diverge"}};
  const fs::path a = session("a", {1}), b = session("b", {2});
  EXPECT_EQ(refusal(a, b), "accepted");
}

TEST_F(CollectTest, RejectsDifferentStepsAndTuning) {
  const fs::path steps = session("steps", {1});
  equalize_ = Equalize::kTime;
  step_s_ = {{"relu", 0.1}, {"geglu", 0.2}};
  const fs::path time = session("time", {1});
  step_s_ = {{"relu", 0.1}, {"geglu", 0.5}};
  const fs::path slower = session("slower", {2});
  EXPECT_NE(refusal(steps, time).find(": received equal time instead of equal steps; expected"),
            std::string::npos);
  EXPECT_NE(refusal(time, slower).find("received a different number of steps for geglu because"),
            std::string::npos);

  equalize_ = Equalize::kSteps;
  tune_ =
      TuneConfig{.grid = {{{"optimizer.lr", {{"1e-3", false}, {"3e-3", false}}}}}, .seeds = {101}};
  const fs::path tuned = session("tuned", {2});
  log_perplexity_ = {{"geglu, 3e-3, seed 101", 1.0}};
  const fs::path otherwise = session("otherwise", {3});
  EXPECT_NE(refusal(steps, tuned).find("received a comparison with tuning"), std::string::npos);
  EXPECT_NE(refusal(tuned, otherwise).find("received geglu tuned to 3e-3 instead of 1e-3"),
            std::string::npos);
}

TEST_F(CollectTest, CellDirectoriesAreRelativeToTheFirstDirectory) {
  const fs::path a = session("a", {1}), here = fs::current_path();
  session("b", {2});
  fs::current_path(a);
  const std::vector<fs::path> both{".", "../b"};
  const report::Comparison comparison = collect(both);
  fs::current_path(here);
  for (const report::CellResult& cell : comparison.cells)
    EXPECT_TRUE(fs::exists(a / cell.directory / "cell.json")) << cell.directory;
}

TEST_F(CollectTest, DamagedResultCountsAsFailed) {
  const fs::path directory = session("a", {1});
  const fs::path cell = testing::cells_like(directory / "cells", "geglu").at(0);
  std::ofstream(cell / "run" / "result.json") << "{}";
  const report::Comparison comparison = collect(std::vector<fs::path>{directory});
  EXPECT_EQ(comparison.cells[0].state, report::CellState::kFinished);
  EXPECT_EQ(comparison.cells[1].state, report::CellState::kFailed);
  EXPECT_NE(comparison.cells[1].remark.find("result.json"), std::string::npos);
}

// Known only if the result contains the loss of a uniform guess; results of earlier versions do
// not.
TEST_F(CollectTest, ReportsWhetherRunsLearned) {
  const fs::path directory = session("a", {1, 2});
  const auto set = [&](const std::string& start, double figure, std::optional<double> guess) {
    const fs::path cell = testing::cells_like(directory / "cells", start).at(0),
                   path = cell / "run" / "result.json";
    CellRecord record = *read_record(cell / "cell.json");
    record.seal.reset();  // as written by earlier versions
    write_record(record, cell / "cell.json");
    store::RunResult result = store::read_run_result(path);
    EXPECT_FALSE(result.uniform_log_perplexity.has_value());
    result.step = 100;
    result.figures.log_perplexity = figure;
    result.uniform_log_perplexity = guess;
    store::write_run_result(result, path);
  };
  set("relu-seed-1", 8.3178, 8.3178);
  set("relu-seed-2", 4.0, 8.3178);
  set("geglu-seed-1", 8.3178, std::nullopt);
  const report::Comparison comparison = collect(std::vector<fs::path>{directory});
  EXPECT_EQ(comparison.cells[0].learned_nothing, true);
  EXPECT_EQ(comparison.cells[0].uniform_log_perplexity, 8.3178);
  EXPECT_EQ(comparison.cells[1].learned_nothing, false);
  for (const std::size_t earlier : {2U, 3U}) {
    EXPECT_EQ(comparison.cells[earlier].state, report::CellState::kFinished);
    EXPECT_FALSE(comparison.cells[earlier].learned_nothing.has_value());
    EXPECT_FALSE(comparison.cells[earlier].uniform_log_perplexity.has_value());
  }
}

// A run of the candidate with the best mean is no better than a guess: the other candidate is
// chosen, and the file records why.
TEST_F(CollectTest, TuningPrefersCandidatesThatLearned) {
  tune_ = TuneConfig{.grid = {{{"optimizer.lr", {{"50", false}, {"3e-3", false}}}}},
                     .seeds = {101, 102}};
  const fs::path directory = session("a", {1});
  const auto set = [&](const std::string& start, double figure) {
    const fs::path path =
        testing::cells_like(directory / "tune", start).at(0) / "run" / "result.json";
    store::RunResult result = store::read_run_result(path);
    result.figures.log_perplexity = figure;
    result.uniform_log_perplexity = 8.3178;
    store::write_run_result(result, path);
  };
  set("relu-50-seed-101", 8.3178);
  set("relu-50-seed-102", 3.0);
  set("relu-3e-3-seed-101", 7.0);
  set("relu-3e-3-seed-102", 7.0);
  session("a", {1});
  const report::Comparison comparison = read_comparison(directory).comparison;
  EXPECT_EQ(comparison.variants[0].tuned, (report::Settings{{"optimizer.lr", "3e-3"}}));
  EXPECT_TRUE(comparison.tuning[0].learned_nothing);
  EXPECT_FALSE(comparison.tuning[1].learned_nothing);
  EXPECT_TRUE(comparison.tuning[1].chosen);
}

// The same directory twice, names with spaces and dots, nested directories: cell paths are relative
// to the first directory.
TEST_F(CollectTest, AcceptsAnyDirectoryNames) {
  const fs::path a = session("a b", {1}), b = session("a b/inner [x] $y$", {2});
  const std::vector<fs::path> twice{a, a / "../a b/."}, nested{a, b}, reversed{b, a};
  EXPECT_EQ(collect(twice).cells.size(), 2U);
  for (const auto& directories : {nested, reversed}) {
    const report::Comparison comparison = collect(directories);
    ASSERT_EQ(comparison.cells.size(), 4U);
    for (const report::CellResult& cell : comparison.cells) {
      EXPECT_EQ(cell.state, report::CellState::kFinished);
      EXPECT_TRUE(fs::exists(directories[0] / cell.directory / "cell.json")) << cell.directory;
    }
  }
}

TEST_F(CollectTest, RejectsDamagedComparisons) {
  const fs::path directory = session("a", {1});
  ComparisonFile twice = read_comparison(directory), stranger = twice, headless = twice;
  twice.comparison.cells.push_back(twice.comparison.cells[0]);
  stranger.comparison.cells[0].seed = 99;
  headless.comparison.baseline = 2;
  const auto is_refused = [&] {
    try {
      collect(std::vector<fs::path>{directory});
    } catch (const UserError& error) {
      return error.code() == ExitCode::kBadData;
    }
    return false;
  };
  for (const ComparisonFile& file : {twice, stranger, headless}) {
    write_comparison(file, directory);
    EXPECT_TRUE(is_refused());
  }
  std::ofstream(directory / "comparison.json") << "{\"format\": 1}";
  EXPECT_TRUE(is_refused());
}

// A thousand cells of a thousand steps. CPU time, which is independent of other load.
TEST_F(CollectTest, ReadsAThousandCellsWithinFiveSeconds) {
  const fs::path directory = directory_ / "many", one = directory_ / "one";
  fs::create_directories(one / "run");
  std::ofstream(one / "run" / "metrics.jsonl") << testing::training_lines(1, 1000);
  store::RunResult result{.step = 1000, .figures = {.log_perplexity = 3.0}};
  for (int i = 0; i < 300; ++i)
    result.documents.push_back({.nats = 100.0 / (i + 3), .num_targets = 40});
  store::write_run_result(result, one / "run" / "result.json");
  ComparisonFile file;
  file.comparison.variants = {{.settings = {{"model.ffn", "relu"}}}};
  file.variant_hashes = {"v"};
  file.steps = {std::nullopt};
  for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
    report::CellResult& cell = file.comparison.cells.emplace_back();
    file.comparison.seeds.push_back(seed);
    cell.settings = file.comparison.variants[0].settings;
    cell.seed = seed;
    cell.hash = "h";
    cell.directory = cat("cells/", seed);
    fs::create_directories(directory / "cells");
    fs::copy(one, directory / cell.directory, fs::copy_options::recursive);
  }
  for (const report::CellResult& cell : file.comparison.cells)
    write_record({.settings = cell.settings,
                  .seed = cell.seed,
                  .state = CellState::kFinished,
                  .hash = "h",
                  .plan = plan_text(file.comparison)},
                 directory / cell.directory / "cell.json");
  write_comparison(file, directory);
  const std::clock_t begin = std::clock();
  const report::Comparison comparison = collect(std::vector<fs::path>{directory});
  const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  EXPECT_EQ(comparison.cells.back().training.size(), 250U);
  EXPECT_EQ(comparison.cells.back().state, report::CellState::kFinished);
  RecordProperty("seconds", std::to_string(seconds));
  EXPECT_LT(seconds, 5 * kSlowdown);
}

// Evaluations of other tokens and the one before training do not count.
TEST_F(CollectTest, AveragesTheLastEvaluations) {
  const fs::path directory = session("a", {1});
  const fs::path cell = testing::cells_like(directory / "cells", "relu").at(0);
  CellRecord record = *read_record(cell / "cell.json");
  record.seal.reset();
  write_record(record, cell / "cell.json");
  store::RunResult result = store::read_run_result(cell / "run" / "result.json");
  result.num_targets = 50;
  result.figures.log_perplexity = 3.5;
  result.figures.bits_per_byte = 1.75;
  store::write_run_result(result, cell / "run" / "result.json");
  std::ofstream metrics(cell / "run" / "metrics.jsonl");
  const auto add = [&](int step, double figure, int num_tokens) {
    metrics << cat("{\"step\":", step, ",\"eval\":{\"log_perplexity\":", figure,
                   ",\"num_tokens\":", num_tokens, "}}\n");
  };
  add(0, 9, 50);
  add(2, 5, 50);
  add(4, 4, 50);
  add(6, 100, 20);
  add(8, 3.75, 50);
  add(10, 3.5, 50);
  metrics.close();
  const auto averaged = [&](std::int64_t count) {
    ComparisonFile file = read_comparison(directory);
    file.comparison.average_last = count;
    write_comparison(file, directory);
    return collect(std::vector<fs::path>{directory}).cells[0];
  };
  EXPECT_EQ(averaged(1).log_perplexity, 3.5);
  EXPECT_EQ(averaged(2).log_perplexity, (3.75 + 3.5) / 2);
  EXPECT_EQ(averaged(4).log_perplexity, (5 + 4 + 3.75 + 3.5) / 4);
  EXPECT_EQ(averaged(2).bits_per_byte, 1.75 * (3.625 / 3.5));
  const report::CellResult refused = averaged(5);
  EXPECT_EQ(refused.state, report::CellState::kFailed);
  EXPECT_EQ(refused.remark,
            "received 4 evaluations of the 50 held-out targets of the last one; expected "
            "compare.average_last, 5");
}

}  // namespace
}  // namespace sluice::compare
