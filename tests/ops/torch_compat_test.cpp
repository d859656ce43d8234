#include "ops/torch_compat.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <utility>

#include "base/error.h"

namespace sluice::ops {
namespace {

// Versions newer than the tested ones are accepted.
TEST(TorchCompat, ReportsASupportedVersion) {
  int major = 0, minor = -1;
  ASSERT_EQ(std::sscanf(torch_version().c_str(), "%d.%d.", &major, &minor), 2) << torch_version();
  EXPECT_GE(std::pair(major, minor), std::pair(2, 11)) << torch_version();
}

TEST(TorchCompat, SetsThreadsDeterminismAndPrecision) {
  const int threads = at::get_num_threads();
  at::globalContext().setAllowTF32CuBLAS(true);
  prepare_torch(1);
  EXPECT_EQ(at::get_num_threads(), 1);
  EXPECT_FALSE(at::globalContext().allowTF32CuBLAS());
  EXPECT_TRUE(at::globalContext().deterministicAlgorithms());
  at::set_num_threads(threads);
  at::globalContext().setDeterministicAlgorithms(false, false);
}

TEST(TorchCompat, RejectsZeroThreads) { EXPECT_THROW(prepare_torch(0), InvariantError); }

}  // namespace
}  // namespace sluice::ops
