// A session of two variants and two seeds with fake runs.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/signals.h"
#include "compare/collect.h"
#include "compare/session.h"
#include "tests/compare/fake_runs.h"

namespace sluice::compare {

class SessionTest : public ::testing::Test {
 protected:
  SessionTest() {
    options_.config = testing::two_variants({1, 2});
    options_.name = "test";
    options_.config_text = "the configuration";
    options_.command = "sluice compare x.yaml";
    options_.directory = directory_ / "out";
  }
  Tally run() { return run_session(options_, runs_); }
  report::Comparison report() const {
    return collect(std::vector<std::filesystem::path>{options_.directory});
  }
  std::size_t starts(const std::string& stem) const {
    std::size_t sum = 0;
    for (const std::filesystem::path& cell :
         testing::cells_like(options_.directory / "cells", stem))
      sum += testing::num_starts(cell);
    return sum;
  }
  std::string refusal(ExitCode code = ExitCode::kUsage) {
    try {
      run();
    } catch (const UserError& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      return error.what();
    }
    ADD_FAILURE() << "not refused";
    return "";
  }
  void TearDown() override { clear_stop(); }

  sluice::testing::TemporaryDirectory directory_;
  testing::FakeRuns runs_{directory_ / "fake"};
  SessionOptions options_;
};

inline std::size_t num_with(const report::Comparison& comparison, report::CellState state) {
  return static_cast<std::size_t>(
      std::ranges::count(comparison.cells, state, &report::CellResult::state));
}

}  // namespace sluice::compare
