#include "base/machine.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace sluice {
namespace {

// The kernel's list of CPU features is the reference.
bool kernel_lists(const std::string& flag) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("flags")) continue;
    std::istringstream words(line);
    for (std::string word; words >> word;) {
      if (word == flag) return true;
    }
    return false;
  }
  return false;
}

TEST(Machine, FeaturesMatchTheKernel) {
  EXPECT_EQ(machine().avx2, kernel_lists("avx2") && kernel_lists("fma"));
  EXPECT_EQ(machine().avx512, kernel_lists("avx512f") && kernel_lists("avx512bw") &&
                                  kernel_lists("avx512dq") && kernel_lists("avx512vl"));
  EXPECT_EQ(machine().avx512_bf16, machine().avx512 && kernel_lists("avx512_bf16"));
  EXPECT_EQ(machine().amx_bf16, kernel_lists("amx_bf16") && kernel_lists("amx_tile"));
}

TEST(Machine, KernelsCanBeLimitedToAvx2) {
  EXPECT_EQ(usable_features().features(), machine().features());
  use_at_most_avx2(true);
  EXPECT_EQ(usable_features().features(), machine().avx2 ? "avx2" : "");
  use_at_most_avx2(false);
  EXPECT_EQ(usable_features().features(), machine().features());
}

TEST(Machine, FeaturesPrintAsWords) {
  Machine none;
  EXPECT_EQ(none.features(), "");
  Machine some;
  some.avx2 = some.amx_bf16 = true;
  EXPECT_EQ(some.features(), "avx2 amx_bf16");
  EXPECT_TRUE(some.has_fast_bf16());
}

TEST(Machine, CpusAndMemoryAreWithinSystemLimits) {
  EXPECT_GE(machine().num_cpus, 1);
  EXPECT_LE(machine().num_cpus, static_cast<int>(std::thread::hardware_concurrency()));
  EXPECT_GE(machine().num_shared_cpus, machine().num_cpus);
  std::ifstream meminfo("/proc/meminfo");
  std::string word;
  std::uint64_t total_kib = 0;
  meminfo >> word >> total_kib;
  EXPECT_GT(machine().memory_bytes, 0U);
  EXPECT_LE(machine().memory_bytes, total_kib * 1024);
  EXPECT_FALSE(machine().cpu_model.empty());
}

TEST(PeakMemory, GrowsWithTouchedMemory) {
  constexpr std::size_t kBytes = 64 << 20;
  const std::uint64_t before = peak_memory_bytes();
  EXPECT_GT(before, 1U << 20);
  {
    std::vector<char> block(kBytes, 1);
    EXPECT_GE(peak_memory_bytes(), before + kBytes / 2) << block[kBytes / 3];
  }
  EXPECT_GE(peak_memory_bytes(), before + kBytes / 2);  // the peak, not the current value
}

}  // namespace
}  // namespace sluice
