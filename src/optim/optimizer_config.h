// Section `optimizer`.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <variant>

#include "config/field.h"

namespace sluice::optim {

struct AdamWConfig {
  static constexpr std::string_view kind = "adamw";
  double lr = 2e-3;
  std::array<double, 2> betas{0.9, 0.95};
  double eps = 1e-8;
  double weight_decay = 0.1;
  double clip_norm = 1.0;
  bool scale_by_rms = false;
  static constexpr auto fields() {
    using config::field;
    using C = AdamWConfig;
    return std::tuple{
        field<&C::lr>("Peak learning rate.", config::Positive{}),
        field<&C::betas>("Decay rates of the first and second moment.", config::Between{0, 0.999999}),
        field<&C::eps>("Added to the root of the second moment.", config::Positive{}),
        field<&C::weight_decay>("Decoupled decay (Loshchilov & Hutter 2019), matrices only: each step takes lr·weight_decay of them away.",
                                config::NonNegative{}),
        field<&C::clip_norm>("Gradients are scaled down to this global norm; 0: never.", config::NonNegative{}),
        field<&C::scale_by_rms>(
            "nanoT5's recipe for T5: each matrix or vector moves by the step times max(1e-3, its root mean square). Its "
            "settings: lr 2e-2, betas [0.9, 0.999], eps 1e-6, weight_decay 0.")};
  }
};

// Shazeer & Stern 2018 as T5 uses it. The defaults are those of "GLU Variants Improve Transformer".
struct AdafactorConfig {
  static constexpr std::string_view kind = "adafactor";
  double lr = 1.0;
  double decay_rate = 0.8;
  double clip_update = 1.0;
  std::int64_t factored_min_dim = 128;
  double eps = 1e-30;
  double min_scale = 1e-3;
  double clip_norm = 0;
  static constexpr auto fields() {
    using config::field;
    using C = AdafactorConfig;
    return std::tuple{
        field<&C::lr>(
            "Peak learning rate, relative to the root mean square of each matrix or vector; with `schedule.type: t5` a plain factor.",
            config::Positive{}),
        field<&C::decay_rate>("The second moment decays by 1 - (t + 1)^-decay_rate in update t, counted from 0.", config::Between{0, 1}),
        field<&C::clip_update>("An update is scaled down to this root mean square; 0: never.", config::NonNegative{}),
        field<&C::factored_min_dim>(
            "Matrices whose smaller dimension is at least this keep row and column means instead of all second moments.",
            config::Positive{}),
        field<&C::eps>("Added to the squared gradient.", config::Between{1e-37, 1}),
        field<&C::min_scale>("The least root mean square that a step is relative to.", config::Positive{}),
        field<&C::clip_norm>("Gradients are scaled down to this global norm; 0: never.", config::NonNegative{})};
  }
};

using OptimizerConfig = std::variant<AdamWConfig, AdafactorConfig>;

}  // namespace sluice::optim
