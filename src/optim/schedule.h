// Section `schedule`: the learning rate as a factor of the peak, a pure function of the step.
//
// s is the number of finished steps. All schedules but t5 warm up linearly over w = warmup_steps:
// the factor is (s + 1) / w for s < w. Then, with t = (s − w) / (total − w) in [0, 1) and
// f = final_fraction:
//   constant      1
//   linear        1 − (1 − f)·t
//   cosine        f + (1 − f)·(1 + cos πt)/2
//   inverse_sqrt  sqrt(w' / (s + 1)), w' = max(w, 1)
//   wsd           1 until the last `decay_fraction` of the steps, then linearly to f; if warm-up
//                 and decay overlap, the lower of the two
//   t5            1 / sqrt(max(s, constant_steps)) · min(1, (T − s) / (decay_fraction·T)),
//                 T = total_steps (Shazeer 2020 with Raffel et al. 2020); no warm-up and no peak
//                 of 1, so optimizer.lr is a constant factor
#pragma once

#include <cstdint>
#include <string_view>
#include <variant>

#include "config/field.h"

namespace sluice::optim {

struct ConstantSchedule {
  static constexpr std::string_view kind = "constant";
  std::int64_t warmup_steps = 0;
  static constexpr auto fields() {
    return std::tuple{config::field<&ConstantSchedule::warmup_steps>("Steps of linear warm-up.",
                                                                     config::NonNegative{})};
  }
};
struct LinearSchedule {
  static constexpr std::string_view kind = "linear";
  std::int64_t warmup_steps = 0;
  double final_fraction = 0.0;
  static constexpr auto fields() {
    return std::tuple{
        config::field<&LinearSchedule::warmup_steps>("Steps of linear warm-up.",
                                                     config::NonNegative{}),
        config::field<&LinearSchedule::final_fraction>(
            "Learning rate at the end, as a fraction of the peak.", config::Between{0, 1})};
  }
};
struct CosineSchedule {
  static constexpr std::string_view kind = "cosine";
  std::int64_t warmup_steps = 50;
  double final_fraction = 0.1;
  static constexpr auto fields() {
    return std::tuple{
        config::field<&CosineSchedule::warmup_steps>("Steps of linear warm-up.",
                                                     config::NonNegative{}),
        config::field<&CosineSchedule::final_fraction>(
            "Learning rate at the end, as a fraction of the peak.", config::Between{0, 1})};
  }
};
struct InverseSqrtSchedule {
  static constexpr std::string_view kind = "inverse_sqrt";
  std::int64_t warmup_steps = 1000;
  static constexpr auto fields() {
    return std::tuple{config::field<&InverseSqrtSchedule::warmup_steps>(
        "Steps of linear warm-up; its last step has the peak rate.", config::NonNegative{})};
  }
};
struct WsdSchedule {
  static constexpr std::string_view kind = "wsd";
  std::int64_t warmup_steps = 50;
  double decay_fraction = 0.2;
  double final_fraction = 0.0;
  static constexpr auto fields() {
    return std::tuple{
        config::field<&WsdSchedule::warmup_steps>("Steps of linear warm-up.",
                                                  config::NonNegative{}),
        config::field<&WsdSchedule::decay_fraction>(
            "Fraction of all steps, at the end, in which the rate decays (warmup-stable-decay, Hu "
            "et al. 2024). If the decay begins before the warm-up ends, the lower of the two rates "
            "applies, and a warning reports that the peak is not reached. A warm-up as long as the "
            "run leaves no decay.",
            config::Between{0, 1}),
        config::field<&WsdSchedule::final_fraction>(
            "Learning rate at the end, as a fraction of the peak.", config::Between{0, 1})};
  }
};
struct T5Schedule {
  static constexpr std::string_view kind = "t5";
  std::int64_t constant_steps = 10000;
  double decay_fraction = 0.1;
  config::Auto<std::int64_t> total_steps;
  static constexpr auto fields() {
    return std::tuple{
        config::field<&T5Schedule::constant_steps>(
            "Steps at the start with the constant rate 1/sqrt(constant_steps); then 1/sqrt(step).",
            config::Positive{}),
        config::field<&T5Schedule::decay_fraction>(
            "Fraction of all steps, at the end, in which the rate also decays linearly to 0.",
            config::Between{0, 1}),
        config::field<&T5Schedule::total_steps>(
            "Number of steps that `decay_fraction` refers to; `auto`: those of this run.",
            config::Positive{}, config::Affects::kFuture)};
  }
};

using ScheduleConfig = std::variant<CosineSchedule, ConstantSchedule, LinearSchedule,
                                    InverseSqrtSchedule, WsdSchedule, T5Schedule>;

// The factor of optimizer.lr for the step after `step` finished steps, out of total_steps.
double schedule_factor(const ScheduleConfig& config, std::int64_t step, std::int64_t total_steps);

// The highest of these factors: below 1 if the run ends or the decay begins before the warm-up
// ends. 1 for t5, which has no peak.
double highest_factor(const ScheduleConfig& config, std::int64_t total_steps);

}  // namespace sluice::optim
