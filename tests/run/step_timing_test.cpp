#include "run/step_timing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace sluice::run {
namespace {

// A device that needs 2 s for each step, which the host starts in 0.25 s; the first two take 10 s.
TEST(StepTiming, MeansTheTimeOfTheDevice) {
  double now_s = 5, busy_until_s = 0;
  std::string prepared;
  const double seconds = time_steps({.num_warm_up = 2, .num_groups = 2, .steps_per_group = 4},
                                    {.prepare =
                                         [&](std::uint64_t step) {
                                           now_s += 100;
                                           prepared += std::to_string(step);
                                         },
                                     .run =
                                         [&](std::uint64_t step) {
                                           now_s += 0.25;
                                           busy_until_s =
                                               std::max(busy_until_s, now_s) + (step < 2 ? 10 : 2);
                                         },
                                     .synchronize = [&] { now_s = std::max(now_s, busy_until_s); },
                                     .now = [&] { return now_s; }});
  EXPECT_EQ(seconds, 8.25 / 4);
  EXPECT_EQ(prepared, "0123456789");
}

TEST(StepTiming, ACpuIsTimedStepByStepAndTheMedianCounts) {
  double now_s = 0;
  EXPECT_EQ(
      time_steps({.num_warm_up = 1, .num_groups = 3},
                 {.prepare = [](std::uint64_t) {},
                  .run = [&](std::uint64_t step) { now_s += static_cast<double>(step * step); },
                  .synchronize = [] {},
                  .now = [&] { return now_s; }}),
      4);
}

}  // namespace
}  // namespace sluice::run
