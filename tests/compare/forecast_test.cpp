// Forecasts from measured times and from finished runs.
#include <gtest/gtest.h>

#include "compare/cell.h"
#include "compare/session.h"
#include "tests/base/temporary_directory.h"
#include "tests/compare/fake_runs.h"

namespace sluice::compare {
namespace {

using testing::cells_like;

class ForecastTest : public ::testing::Test {
 protected:
  sluice::testing::TemporaryDirectory directory_;
  testing::FakeRuns runs_{directory_.path() / "scratch"};
  SessionOptions options_{.config = testing::two_variants({1, 2}),
                          .name = "test",
                          .config_text = "compare: {}",
                          .command = "sluice compare",
                          .directory = directory_.path() / "comparison"};
};

// Startup, evaluations and checkpoints: as measured, otherwise the time of finished runs' processes
// outside their steps.
TEST_F(ForecastTest, IncludesTimeOutsideTheSteps) {
  runs_.other_s = {{"relu", 2}, {"geglu", 3}};
  const Forecast measured = forecast(options_, runs_, /*measure=*/true);
  EXPECT_FALSE(measured.is_prepared);
  EXPECT_DOUBLE_EQ(measured.variants[1].other_seconds, 3);
  EXPECT_NEAR(measured.seconds.value(), 2 * (10 * 0.1 + 2) + 2 * (10 * 0.1 + 3), 1e-9);
  runs_.training_s = 0.01;
  // ten steps of 0.05 s and more
  runs_.behavior = {{"relu, seed 1", "slow"}, {"geglu, seed 1", "slow"}};
  options_.seeds = {1};
  run_session(options_, runs_);
  options_.seeds.clear();
  const Forecast known = forecast(options_, runs_, /*measure=*/false);
  EXPECT_TRUE(known.is_prepared);
  double expected = 0;
  for (const char* variant : {"relu", "geglu"}) {
    const auto cell = cells_like(options_.directory / "cells", variant).front();
    expected += read_record(cell / "cell.json")->wall_seconds;
  }
  EXPECT_GT(expected, 1.0);
  EXPECT_NEAR(known.seconds.value(), expected, 1e-9);
}

}  // namespace
}  // namespace sluice::compare
