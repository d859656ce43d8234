#include "optim/schedule.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"

namespace sluice::optim {
namespace {

constexpr std::int64_t kTotal = 100;

const std::vector<ScheduleConfig>& schedules() {
  static const std::vector<ScheduleConfig> all = {
      ConstantSchedule{.warmup_steps = 7},
      LinearSchedule{.warmup_steps = 10, .final_fraction = 0.2},
      LinearSchedule{},
      CosineSchedule{.warmup_steps = 10, .final_fraction = 0.1},
      CosineSchedule{.warmup_steps = 0, .final_fraction = 0},
      InverseSqrtSchedule{.warmup_steps = 20},
      InverseSqrtSchedule{.warmup_steps = 0},
      WsdSchedule{.warmup_steps = 5, .decay_fraction = 0.25, .final_fraction = 0.05},
      WsdSchedule{.warmup_steps = 0, .decay_fraction = 0, .final_fraction = 0.5},
  };
  return all;
}

std::int64_t warmup_of(const ScheduleConfig& schedule) {
  return std::visit([](const auto& c) { return c.warmup_steps; }, schedule);
}

class EverySchedule : public testing::TestWithParam<std::size_t> {
 protected:
  const ScheduleConfig& schedule() const { return schedules()[GetParam()]; }
  double factor(std::int64_t step) const { return schedule_factor(schedule(), step, kTotal); }
};

TEST_P(EverySchedule, StaysBetweenZeroAndThePeak) {
  for (std::int64_t step = 0; step < kTotal; ++step) {
    EXPECT_GE(factor(step), 0.0) << step;
    EXPECT_LE(factor(step), 1.0) << step;
  }
}

TEST_P(EverySchedule, WarmsUpInEqualStepsFromAboveZeroToThePeak) {
  const std::int64_t warmup = warmup_of(schedule());
  for (std::int64_t step = 0; step < warmup; ++step)
    EXPECT_DOUBLE_EQ(factor(step), static_cast<double>(step + 1) / static_cast<double>(warmup));
}

TEST_P(EverySchedule, NeverRisesAfterTheWarmUp) {
  for (std::int64_t step = std::max<std::int64_t>(warmup_of(schedule()), 1); step + 1 < kTotal; ++step)
    EXPECT_LE(factor(step + 1), factor(step) + 1e-15) << step;
}

TEST_P(EverySchedule, RefusesStepsOutsideTheRun) {
  EXPECT_THROW(factor(-1), InvariantError);
  EXPECT_THROW(factor(kTotal), InvariantError);
}

TEST_P(EverySchedule, AWarmUpLongerThanTheRunIsJustAWarmUp) {
  ScheduleConfig slow = schedule();
  std::visit([](auto& c) { c.warmup_steps = 1000; }, slow);
  for (std::int64_t step = 0; step < kTotal; ++step)
    EXPECT_DOUBLE_EQ(schedule_factor(slow, step, kTotal), static_cast<double>(step + 1) / 1000);
}

INSTANTIATE_TEST_SUITE_P(Schedules, EverySchedule, testing::Range<std::size_t>(0, schedules().size()));

TEST(Schedule, ConstantIsOne) { EXPECT_EQ(schedule_factor(ConstantSchedule{}, 57, kTotal), 1.0); }

TEST(Schedule, LinearFallsOnAStraightLine) {
  const LinearSchedule c{.warmup_steps = 20, .final_fraction = 0.2};
  EXPECT_DOUBLE_EQ(schedule_factor(c, 20, kTotal), 1.0);
  EXPECT_DOUBLE_EQ(schedule_factor(c, 60, kTotal), 0.6);
  EXPECT_DOUBLE_EQ(schedule_factor(c, 99, kTotal), 1 - 0.8 * 79 / 80);
}

TEST(Schedule, CosineFallsOnHalfAWave) {
  const CosineSchedule c{.warmup_steps = 20, .final_fraction = 0.1};
  EXPECT_DOUBLE_EQ(schedule_factor(c, 20, kTotal), 1.0);
  EXPECT_DOUBLE_EQ(schedule_factor(c, 60, kTotal), 0.55);                                    // half way
  EXPECT_NEAR(schedule_factor(c, 40, kTotal), 0.1 + 0.9 * (1 + std::sqrt(0.5)) / 2, 1e-12);  // a quarter of the way
}

TEST(Schedule, InverseSqrtIsContinuousAtTheEndOfTheWarmUp) {
  const InverseSqrtSchedule c{.warmup_steps = 25};
  EXPECT_DOUBLE_EQ(schedule_factor(c, 24, kTotal), 1.0);
  EXPECT_DOUBLE_EQ(schedule_factor(c, 99, kTotal), 0.5);  // sqrt(25 / 100)
}

TEST(Schedule, WsdHoldsThenFalls) {
  const WsdSchedule c{.warmup_steps = 10, .decay_fraction = 0.2, .final_fraction = 0.1};
  EXPECT_DOUBLE_EQ(schedule_factor(c, 10, kTotal), 1.0);
  EXPECT_DOUBLE_EQ(schedule_factor(c, 80, kTotal), 1.0);
  EXPECT_DOUBLE_EQ(schedule_factor(c, 90, kTotal), 0.55);
  EXPECT_DOUBLE_EQ(schedule_factor(c, 99, kTotal), 0.1 + 0.9 / 20);
}

}  // namespace
}  // namespace sluice::optim
