// Section `schedule`: the learning rate as a factor of the peak, a pure function of the step.
//
// Step s counts finished steps, from 0. All but t5 warm up linearly over w = warmup_steps: factor (s + 1) / w for s < w. Then, with
// t = (s − w) / (total − w) in [0, 1) and f = final_fraction:
//   constant 1 · linear 1 − (1 − f)·t · cosine f + (1 − f)·(1 + cos πt)/2 · inverse_sqrt sqrt(w' / (s + 1)), w' = max(w, 1)
//   wsd 1 until the last `decay_fraction` of the steps, then linearly to f; of warm-up and decay the lower, should they overlap.
//   t5 1 / sqrt(max(s, constant_steps)) · min(1, (T − s) / (decay_fraction·T)), T = total_steps (Shazeer 2020 with Raffel et al. 2020): no
//   warm-up, and no peak of 1: optimizer.lr is a plain factor.
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
    return std::tuple{config::field<&ConstantSchedule::warmup_steps>("Steps of linear warm-up.", config::NonNegative{})};
  }
};
struct LinearSchedule {
  static constexpr std::string_view kind = "linear";
  std::int64_t warmup_steps = 0;
  double final_fraction = 0.0;
  static constexpr auto fields() {
    return std::tuple{
        config::field<&LinearSchedule::warmup_steps>("Steps of linear warm-up.", config::NonNegative{}),
        config::field<&LinearSchedule::final_fraction>("Learning rate at the end, as a fraction of the peak.", config::Between{0, 1})};
  }
};
struct CosineSchedule {
  static constexpr std::string_view kind = "cosine";
  std::int64_t warmup_steps = 50;
  double final_fraction = 0.1;
  static constexpr auto fields() {
    return std::tuple{
        config::field<&CosineSchedule::warmup_steps>("Steps of linear warm-up.", config::NonNegative{}),
        config::field<&CosineSchedule::final_fraction>("Learning rate at the end, as a fraction of the peak.", config::Between{0, 1})};
  }
};
struct InverseSqrtSchedule {
  static constexpr std::string_view kind = "inverse_sqrt";
  std::int64_t warmup_steps = 1000;
  static constexpr auto fields() {
    return std::tuple{config::field<&InverseSqrtSchedule::warmup_steps>("Steps of linear warm-up; the peak is reached at its end.",
                                                                        config::NonNegative{})};
  }
};
struct WsdSchedule {
  static constexpr std::string_view kind = "wsd";
  std::int64_t warmup_steps = 50;
  double decay_fraction = 0.2;
  double final_fraction = 0.0;
  static constexpr auto fields() {
    return std::tuple{
        config::field<&WsdSchedule::warmup_steps>("Steps of linear warm-up.", config::NonNegative{}),
        config::field<&WsdSchedule::decay_fraction>(
            "Share of all steps, at the end, in which the rate falls (warmup-stable-decay, Hu et al. 2024). Where it begins before the "
            "warm-up ends, the lower of the two rates counts, and a warning says that the peak is not reached; a warm-up as long as the "
            "run has no decay.",
            config::Between{0, 1}),
        config::field<&WsdSchedule::final_fraction>("Learning rate at the end, as a fraction of the peak.", config::Between{0, 1})};
  }
};
struct T5Schedule {
  static constexpr std::string_view kind = "t5";
  std::int64_t constant_steps = 10000;
  double decay_fraction = 0.1;
  config::Auto<std::int64_t> total_steps;
  static constexpr auto fields() {
    return std::tuple{config::field<&T5Schedule::constant_steps>(
                          "Steps at the start with the constant rate 1/sqrt(constant_steps); then 1/sqrt(step).", config::Positive{}),
                      config::field<&T5Schedule::decay_fraction>(
                          "Share of all steps, at the end, in which the rate also falls linearly to 0.", config::Between{0, 1}),
                      config::field<&T5Schedule::total_steps>("Steps that `decay_fraction` is a share of; `auto`: those of this run.",
                                                              config::Positive{}, config::Affects::kFuture)};
  }
};

using ScheduleConfig = std::variant<CosineSchedule, ConstantSchedule, LinearSchedule, InverseSqrtSchedule, WsdSchedule, T5Schedule>;

// What optimizer.lr is multiplied with for the step after `step` finished ones, of total_steps.
double schedule_factor(const ScheduleConfig& config, std::int64_t step, std::int64_t total_steps);

// The highest of these factors: below 1 where the run ends, or the decay begins, before the warm-up does. t5, which has no peak: 1.
double highest_factor(const ScheduleConfig& config, std::int64_t total_steps);

}  // namespace sluice::optim
