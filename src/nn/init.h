// Initial values, drawn from the counter-based generator keyed by (seed, "init", logical name): a matrix starts with the same values whatever
// else the model holds. L: num_layers.
//
//   tensor                                `normal` (GPT-2)            `fan_in`
//   embedding.weight, position.weight     N(0, std²)                  N(0, std²)
//   attention.{q,k,v}.weight              N(0, std²)                  N(0, 1/d_model)
//   ffn.{w,v}.weight                      N(0, std²)                  N(0, 1/d_model)
//   attention.o.weight                    N(0, std²/2L)               N(0, 1/(2L · num_heads · head_dim))
//   ffn.w2.weight                         N(0, std²/2L)               N(0, 1/(2L · d_ff))
//   head.weight (untied)                  N(0, std²)                  N(0, 1/d_model)
//   biases; scales of norms               0; 1                        0; 1
//
// GPT-2: Radford et al. 2019, section 2.3, and its released code: deviation 0.02, matrices that end a residual branch scaled by 1/sqrt(number
// of branches), 2L of them (without the factor where scale_residual is off). There position vectors have 0.01; one deviation serves both here,
// as in nanoGPT. fan_in: the variance that keeps a sum over inputs of unit variance at unit variance (LeCun et al. 1998, section 4.6).
// Both draw from an untruncated normal distribution.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

#include "config/field.h"
#include "ops/parameters.h"

namespace sluice::nn {

enum class InitType { kNormal, kFanIn };
constexpr auto names_of(InitType) {
  return std::array{std::pair{InitType::kNormal, std::string_view("normal")}, std::pair{InitType::kFanIn, std::string_view("fan_in")}};
}

struct InitConfig {
  InitType type = InitType::kNormal;
  double std = 0.02;
  bool scale_residual = true;

  static constexpr auto fields() {
    using config::field;
    using C = InitConfig;
    return std::tuple{
        field<&C::type>("`normal`: every matrix from N(0, std²) (GPT-2, Radford et al. 2019). `fan_in`: matrices from N(0, 1/fan_in), "
                        "embeddings from N(0, std²)."),
        field<&C::std>("Standard deviation.", config::Positive{}),
        field<&C::scale_residual>("Divide the deviation of matrices that write into the residual stream by sqrt(2·num_layers) (GPT-2).")};
  }
};

struct InitRule {
  InitConfig config;
  std::int64_t num_layers = 1;
  ops::Init matrix(std::int64_t fan_in) const;
  ops::Init residual_matrix(std::int64_t fan_in) const;  // attention.o, ffn.w2
  ops::Init embedding() const;
};

}  // namespace sluice::nn
