// Section `optimizer`.
#pragma once

#include <array>
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
  static constexpr auto fields() {
    using config::field;
    using C = AdamWConfig;
    return std::tuple{
        field<&C::lr>("Peak learning rate.", config::Positive{}),
        field<&C::betas>("Decay rates of the first and second moment.", config::Between{0, 0.999999}),
        field<&C::eps>("Added to the root of the second moment.", config::Positive{}),
        field<&C::weight_decay>("Decoupled decay (Loshchilov & Hutter 2019), matrices only: each step takes lr·weight_decay of them away.",
                                config::NonNegative{}),
        field<&C::clip_norm>("Gradients are scaled down to this global norm; 0: never.", config::NonNegative{})};
  }
};

using OptimizerConfig = std::variant<AdamWConfig>;

}  // namespace sluice::optim
