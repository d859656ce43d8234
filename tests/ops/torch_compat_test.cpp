#include "ops/torch_compat.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace sluice::ops {
namespace {

TEST(TorchCompat, names_a_supported_version) {
  const std::string version = torch_version();
  EXPECT_TRUE(version.starts_with("2.11") || version.starts_with("2.12") || version.starts_with("2.13")) << version;
}

TEST(TorchCompat, prepares_threads_and_determinism) {
  const int threads = at::get_num_threads();
  prepare_torch(1);
  EXPECT_EQ(at::get_num_threads(), 1);
  EXPECT_TRUE(at::globalContext().deterministicAlgorithms());
  at::set_num_threads(threads);
  at::globalContext().setDeterministicAlgorithms(false, false);
}

TEST(TorchCompat, refuses_no_threads) { EXPECT_THROW(prepare_torch(0), InvariantError); }

}  // namespace
}  // namespace sluice::ops
