// Section `optimizer`.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
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
        field<&C::betas>("Decay rates of the first and second moment.",
                         config::Between{0, 0.999999}),
        field<&C::eps>("Added to the root of the second moment.", config::Positive{}),
        field<&C::weight_decay>(
            "Decoupled decay (Loshchilov & Hutter 2019), matrices only, without "
            "those of relative positions: each step subtracts "
            "lr·weight_decay times the weights.",
            config::NonNegative{}),
        field<&C::clip_norm>("Gradients are clipped to this global norm; 0: no clipping.",
                             config::NonNegative{}),
        field<&C::scale_by_rms>(
            "Scales the step of each matrix or vector by max(1e-3, its root mean square), as "
            "nanoT5 does for T5, with lr 2e-2, betas [0.9, 0.999], eps 1e-6, weight_decay 0.")};
  }
};

// Shazeer & Stern 2018 as used by T5. Defaults from "GLU Variants Improve Transformer".
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
        field<&C::lr>("Peak learning rate, relative to the root mean square of each matrix or "
                      "vector; a constant factor with `schedule.type: t5`.",
                      config::Positive{}),
        field<&C::decay_rate>("The decay rate of the second moment in update t, counted from 0, is "
                              "1 - (t + 1)^-decay_rate.",
                              config::Between{0, 1}),
        field<&C::clip_update>("Updates are clipped to this root mean square; 0: no clipping.",
                               config::NonNegative{}),
        field<&C::factored_min_dim>("Matrices whose smaller dimension is at least this keep row "
                                    "and column means instead of every second moment.",
                                    config::Positive{}),
        field<&C::eps>("Added to the squared gradient.", config::Between{1e-37, 1}),
        field<&C::min_scale>("Lower bound of the root mean square that scales a step.",
                             config::Positive{}),
        field<&C::clip_norm>("Gradients are clipped to this global norm; 0: no clipping.",
                             config::NonNegative{})};
  }
};

enum class MuonScale { kMatchRmsAdamW, kOriginal };
constexpr auto names_of(MuonScale) {
  return std::array{std::pair{MuonScale::kMatchRmsAdamW, std::string_view("match_rms_adamw")},
                    std::pair{MuonScale::kOriginal, std::string_view("original")}};
}

enum class NewtonSchulzType { kBf16, kFp32 };
constexpr auto names_of(NewtonSchulzType) {
  return std::array{std::pair{NewtonSchulzType::kBf16, std::string_view("bf16")},
                    std::pair{NewtonSchulzType::kFp32, std::string_view("fp32")}};
}

// Jordan et al. 2024; defaults from Liu et al. 2025, arXiv 2502.16982. Formulas: optim/muon.h.
struct MuonConfig {
  static constexpr std::string_view kind = "muon";
  double lr = 2e-3;
  double momentum = 0.95;
  bool nesterov = true;
  MuonScale scale = MuonScale::kMatchRmsAdamW;
  std::int64_t newton_schulz_steps = 5;
  NewtonSchulzType newton_schulz_type = NewtonSchulzType::kBf16;
  double weight_decay = 0.1;
  double adamw_lr_factor = 1.0;
  std::array<double, 2> betas{0.9, 0.95};
  double eps = 1e-8;
  double clip_norm = 1.0;
  static constexpr auto fields() {
    using config::field;
    using C = MuonConfig;
    return std::tuple{
        field<&C::lr>("Peak learning rate.", config::Positive{}),
        field<&C::momentum>("Decay rate of the momentum of the matrices of attention and "
                            "feed-forward layers.",
                            config::Between{0, 0.999999}),
        field<&C::nesterov>("Nesterov momentum."),
        field<&C::scale>(
            "Factor of the orthogonalized step of a matrix [rows, columns]: `match_rms_adamw`, "
            "0.2·sqrt(max(rows, columns)), so that rates of AdamW apply (Liu et al. 2025); "
            "`original`, sqrt(max(1, rows / columns)) (Jordan et al. 2024), with lr about 0.02 and "
            "adamw_lr_factor about 0.015."),
        field<&C::newton_schulz_steps>("Newton-Schulz iterations.", config::Between{1, 20}),
        field<&C::newton_schulz_type>(
            "Type to which the iteration rounds, whatever train.precision is: `bf16` as in the "
            "papers (CPUs without bf16 instructions multiply the rounded values in fp32); `fp32`."),
        field<&C::weight_decay>("Decoupled decay, matrices only, without those of relative "
                                "positions: each step subtracts lr·weight_decay times the weights, "
                                "with the learning rate of AdamW for what AdamW trains.",
                                config::NonNegative{}),
        field<&C::adamw_lr_factor>("AdamW trains embeddings, output matrix, norms, biases and "
                                   "other vectors with adamw_lr_factor·lr.",
                                   config::Positive{}),
        field<&C::betas>("AdamW: decay rates of the first and second moment.",
                         config::Between{0, 0.999999}),
        field<&C::eps>("AdamW: added to the root of the second moment.", config::Positive{}),
        field<&C::clip_norm>("Gradients are clipped to this global norm; 0: no clipping.",
                             config::NonNegative{})};
  }
};

using OptimizerConfig = std::variant<AdamWConfig, AdafactorConfig, MuonConfig>;

}  // namespace sluice::optim
