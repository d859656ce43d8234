// A small run on disk, for the tests of runs.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "run/session.h"
#include "tests/base/temporary_directory.h"

namespace sluice::run::test {

// A directory with 11 kB of English text and options that train a tiny Transformer on it, with at
// most two threads.
class SessionTest : public ::testing::Test {
 protected:
  SessionTest();
  ~SessionTest() override;
  SessionOptions options(const std::string& run = "run") const;
  std::string file(const std::string& run, std::int64_t step, const std::string& name) const;
  void expect_equal_runs(const std::string& a, const std::string& b, std::int64_t step) const;

  sluice::testing::TemporaryDirectory directory_;
};

}  // namespace sluice::run::test
