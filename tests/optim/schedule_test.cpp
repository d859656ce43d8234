#include "optim/schedule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/text_format.h"
#include "tests/base/temporary_directory.h"

namespace sluice::optim {
namespace {

constexpr std::int64_t kTotal = 100;
constexpr std::size_t kNumWithoutWarmUp = 2;  // at the end of schedules()

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
      T5Schedule{.constant_steps = 10, .decay_fraction = 0.3},
      T5Schedule{.constant_steps = 1, .decay_fraction = 0, .total_steps = 40},
  };
  return all;
}

// Null for T5.
std::int64_t* warmup_of(ScheduleConfig& schedule) {
  return std::visit(
      [](auto& c) -> std::int64_t* {
        if constexpr (requires { c.warmup_steps; }) return &c.warmup_steps;
        return nullptr;
      },
      schedule);
}

std::int64_t warmup_of(const ScheduleConfig& schedule) {
  ScheduleConfig copy = schedule;
  const std::int64_t* warmup = warmup_of(copy);
  return warmup != nullptr ? *warmup : 0;
}

class EverySchedule : public ::testing::TestWithParam<std::size_t> {
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

TEST_P(EverySchedule, WarmsUpLinearlyToThePeak) {
  const std::int64_t warmup = warmup_of(schedule());
  for (std::int64_t step = 0; step < warmup; ++step)
    EXPECT_DOUBLE_EQ(factor(step), static_cast<double>(step + 1) / static_cast<double>(warmup));
}

TEST_P(EverySchedule, NeverRisesAfterTheWarmUp) {
  for (std::int64_t step = std::max<std::int64_t>(warmup_of(schedule()), 1); step + 1 < kTotal;
       ++step)
    EXPECT_LE(factor(step + 1), factor(step) + 1e-15) << step;
}

TEST_P(EverySchedule, RejectsStepsOutsideTheRun) {
  EXPECT_THROW(factor(-1), InvariantError);
  EXPECT_THROW(factor(kTotal), InvariantError);
}

class EveryWarmUp : public EverySchedule {};

TEST_P(EveryWarmUp, LongerThanTheRunLeavesNoDecay) {
  ScheduleConfig slow = schedule();
  ASSERT_NE(warmup_of(slow), nullptr);
  *warmup_of(slow) = 1000;
  for (std::int64_t step = 0; step < kTotal; ++step)
    EXPECT_DOUBLE_EQ(schedule_factor(slow, step, kTotal), static_cast<double>(step + 1) / 1000);
}

INSTANTIATE_TEST_SUITE_P(Schedules, EverySchedule,
                         ::testing::Range<std::size_t>(0, schedules().size()));
INSTANTIATE_TEST_SUITE_P(Schedules, EveryWarmUp,
                         ::testing::Range<std::size_t>(0, schedules().size() - kNumWithoutWarmUp));

TEST(Schedule, ConstantIsOne) { EXPECT_EQ(schedule_factor(ConstantSchedule{}, 57, kTotal), 1.0); }

TEST(Schedule, LinearDecaysLinearly) {
  const LinearSchedule c{.warmup_steps = 20, .final_fraction = 0.2};
  EXPECT_DOUBLE_EQ(schedule_factor(c, 20, kTotal), 1.0);
  EXPECT_DOUBLE_EQ(schedule_factor(c, 60, kTotal), 0.6);
  EXPECT_DOUBLE_EQ(schedule_factor(c, 99, kTotal), 1 - 0.8 * 79 / 80);
}

TEST(Schedule, CosineDecaysOverHalfAPeriod) {
  const CosineSchedule c{.warmup_steps = 20, .final_fraction = 0.1};
  EXPECT_DOUBLE_EQ(schedule_factor(c, 20, kTotal), 1.0);
  // halfway
  EXPECT_DOUBLE_EQ(schedule_factor(c, 60, kTotal), 0.55);
  // a quarter of the way
  EXPECT_NEAR(schedule_factor(c, 40, kTotal), 0.1 + 0.9 * (1 + std::sqrt(0.5)) / 2, 1e-12);
}

TEST(Schedule, InverseSqrtIsContinuousAtTheEndOfTheWarmUp) {
  const InverseSqrtSchedule c{.warmup_steps = 25};
  EXPECT_DOUBLE_EQ(schedule_factor(c, 24, kTotal), 1.0);
  EXPECT_DOUBLE_EQ(schedule_factor(c, 99, kTotal), 0.5);  // sqrt(25 / 100)
}

TEST(Schedule, WsdIsConstantThenDecays) {
  const WsdSchedule c{.warmup_steps = 10, .decay_fraction = 0.2, .final_fraction = 0.1};
  EXPECT_DOUBLE_EQ(schedule_factor(c, 10, kTotal), 1.0);
  EXPECT_DOUBLE_EQ(schedule_factor(c, 80, kTotal), 1.0);
  EXPECT_DOUBLE_EQ(schedule_factor(c, 90, kTotal), 0.55);
  EXPECT_DOUBLE_EQ(schedule_factor(c, 99, kTotal), 0.1 + 0.9 / 20);
}

struct T5Case {
  std::int64_t total_steps, constant_steps;
  double decay_fraction;
};

class T5 : public ::testing::TestWithParam<T5Case> {};

TEST_P(T5, MatchesNumPyAtEveryStep) {
  const auto [total_steps, constant_steps, decay_fraction] = GetParam();
  const sluice::testing::TemporaryDirectory directory;
  const std::string file = (directory.path() / "rates").string();
  const std::string command =
      cat("'", SLUICE_PYTHON, "' '", SLUICE_SOURCE_DIR, "/tests/optim/t5_schedule_oracle.py' ",
          total_steps, " ", constant_steps, " ", shortest(decay_fraction), " > '", file, "'");
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
  std::vector<double> rates(static_cast<std::size_t>(total_steps));
  std::ifstream in(file, std::ios::binary);
  in.read(reinterpret_cast<char*>(rates.data()),
          static_cast<std::streamsize>(rates.size() * sizeof(double)));
  ASSERT_TRUE(in.good());
  const T5Schedule c{.constant_steps = constant_steps, .decay_fraction = decay_fraction};
  for (std::int64_t step = 0; step < total_steps; ++step)
    ASSERT_DOUBLE_EQ(schedule_factor(c, step, total_steps), rates[static_cast<std::size_t>(step)])
        << step;
}

INSTANTIATE_TEST_SUITE_P(Schedules, T5,
                         ::testing::Values(T5Case{65536, 10000, 0.1}, T5Case{524288, 10000, 0.1},
                                           T5Case{1000, 10000, 0.1}, T5Case{777, 50, 0.25},
                                           T5Case{100, 1, 0}, T5Case{3, 2, 1}, T5Case{1, 1, 0.1}),
                         [](const auto& test) {
                           return cat("Of", test.param.total_steps, "Steps");
                         });

// The published rates of a run of 65,536 steps (Shazeer 2020).
TEST(Schedule, T5MatchesThePaper) {
  constexpr std::int64_t kSteps = 65536;
  const T5Schedule c;
  EXPECT_DOUBLE_EQ(schedule_factor(c, 0, kSteps), 0.01);
  EXPECT_DOUBLE_EQ(schedule_factor(c, 10000, kSteps), 0.01);
  EXPECT_NEAR(schedule_factor(c, 50000, kSteps), 0.004472136, 5e-10);
  EXPECT_NEAR(schedule_factor(c, 58982, kSteps), 0.004117563, 5e-10);
  EXPECT_DOUBLE_EQ(schedule_factor(c, 58982, kSteps), 1 / std::sqrt(58982));
  EXPECT_LT(schedule_factor(c, 58983, kSteps), 1 / std::sqrt(58983) * (1 - 5e-5));
}

TEST(Schedule, T5DecaysByItsTotalStepsIfGiven) {
  const T5Schedule c{.constant_steps = 4, .decay_fraction = 0.5, .total_steps = 40};
  EXPECT_DOUBLE_EQ(schedule_factor(c, 25, 1000), 0.2 * 15 / 20);
  EXPECT_DOUBLE_EQ(schedule_factor(c, 39, 1000), 1 / std::sqrt(39) / 20);
  EXPECT_EQ(schedule_factor(c, 40, 1000), 0.0);
  EXPECT_EQ(schedule_factor(c, 999, 1000), 0.0);
}

// Warm-up and decay that are apart, touch, overlap, and exceed the run.
TEST(Schedules, NeverJump) {
  for (const std::int64_t total : {1, 2, 10, 80, 100}) {
    for (const std::int64_t warmup : {0, 1, 5, 40, 60, 79, 80, 99, 100, 200}) {
      for (const double decay : {0.0, 0.1, 0.5, 0.8, 1.0}) {
        for (const double final_fraction : {0.0, 0.25, 1.0}) {
          const std::vector<ScheduleConfig> schedules = {
              ConstantSchedule{.warmup_steps = warmup},
              LinearSchedule{.warmup_steps = warmup, .final_fraction = final_fraction},
              CosineSchedule{.warmup_steps = warmup, .final_fraction = final_fraction},
              InverseSqrtSchedule{.warmup_steps = warmup},
              WsdSchedule{.warmup_steps = warmup,
                          .decay_fraction = decay,
                          .final_fraction = final_fraction}};
          for (const ScheduleConfig& schedule : schedules) {
            // Upper bound of the slope: cosine is at most π/2 times as steep as linear, and 1/sqrt
            // falls by less than a third per step.
            const double left =
                static_cast<double>(std::max<std::int64_t>(total - std::min(warmup, total), 1));
            double fall = 1.6 / left;
            if (std::holds_alternative<WsdSchedule>(schedule))
              fall = decay > 0 ? 1 / (decay * static_cast<double>(total)) : 0;
            if (std::holds_alternative<InverseSqrtSchedule>(schedule)) fall = 0.3;
            const double rise = warmup > 0 ? 1.0 / static_cast<double>(warmup) : 0;
            double highest = schedule_factor(schedule, 0, total);
            for (std::int64_t step = 1; step < total; ++step) {
              const double change = schedule_factor(schedule, step, total) -
                                    schedule_factor(schedule, step - 1, total);
              EXPECT_LE(change, rise + 1e-12) << schedule.index() << " " << total << " " << warmup
                                              << " " << decay << " at " << step;
              EXPECT_GE(change, -fall - 1e-12) << schedule.index() << " " << total << " " << warmup
                                               << " " << decay << " at " << step;
              highest = std::max(highest, schedule_factor(schedule, step, total));
            }
            EXPECT_DOUBLE_EQ(highest_factor(schedule, total), highest)
                << schedule.index() << " " << total << " " << warmup << " " << decay;
          }
        }
      }
    }
  }
}

// The lower of (s + 1) / 60 and (80 − s) / 40, which cross between steps 47 and 48.
TEST(Schedules, OverlappingWarmUpAndDecayUseTheLowerRate) {
  const ScheduleConfig wsd =
      WsdSchedule{.warmup_steps = 60, .decay_fraction = 0.5, .final_fraction = 0};
  const auto factor = [&](std::int64_t step) { return schedule_factor(wsd, step, 80); };
  EXPECT_DOUBLE_EQ(factor(0), 1.0 / 60);
  EXPECT_DOUBLE_EQ(factor(39), 40.0 / 60);
  EXPECT_DOUBLE_EQ(factor(46), 47.0 / 60);
  EXPECT_DOUBLE_EQ(factor(47), 48.0 / 60);
  EXPECT_DOUBLE_EQ(factor(48), 32.0 / 40);
  EXPECT_DOUBLE_EQ(factor(59), 21.0 / 40);
  EXPECT_DOUBLE_EQ(factor(60), 20.0 / 40);
  EXPECT_DOUBLE_EQ(factor(79), 1.0 / 40);
  EXPECT_DOUBLE_EQ(highest_factor(wsd, 80), 0.8);
  EXPECT_EQ(highest_factor(T5Schedule{}, 80), 1.0);
}

}  // namespace
}  // namespace sluice::optim
