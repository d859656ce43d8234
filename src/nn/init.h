// Initial values, drawn from the counter-based generator with key (seed, "init", logical name), so
// that they do not depend on the rest of the model. L: num_layers.
//
//   tensor                               `normal` (GPT-2)   `fan_in`
//   embedding.weight, position.weight    N(0, std²)         N(0, std²)
//   attention.{q,k,v}.weight             N(0, std²)         N(0, 1/d_model)
//   ffn.{w,v}.weight                     N(0, std²)         N(0, 1/d_model)
//   attention.o.weight                   N(0, std²/2L)      N(0, 1/(2L · num_heads · head_dim))
//   ffn.w2.weight                        N(0, std²/2L)      N(0, 1/(2L · d_ff))
//   head.weight (untied)                 N(0, std²)         N(0, 1/d_model)
//   biases; norm scales                  0; 1               0; 1
//   ffn.activation.* (learned scalars)   constants of ops/activations.h
//
// `t5` of the encoder-decoder (Mesh TensorFlow, February 2020; the factor 1/sqrt(head_dim) is part
// of the initial q instead of the attention logits):
//
//   embedding.weight                     N(0, 1)
//   {attention,cross}.q.weight           N(0, 1/(d_model · head_dim))
//   {attention,cross}.{k,v}.weight       N(0, 1/d_model)
//   {attention,cross}.o.weight           N(0, 1/(num_heads · head_dim))
//   ffn.{w,v,w2}.weight, head.weight     N(0, 1/fan_in), truncated at `truncate` deviations
//   position.weight                      uniform in ± sqrt(6/(num_heads + num_buckets))
//
// GPT-2: Radford et al. 2019, section 2.3, and its released code: deviation 0.02; the last matrix
// of each of the 2L residual branches is scaled by 1/sqrt(2L) unless scale_residual is off. GPT-2
// uses 0.01 for position vectors; here one deviation serves both, as in nanoGPT. fan_in: preserves
// unit variance (LeCun et al. 1998, section 4.6). `normal` and `fan_in` use an untruncated normal
// distribution.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
#include <variant>

#include "config/field.h"
#include "ops/parameters.h"

namespace sluice::nn {

enum class InitType { kNormal, kFanIn };
constexpr auto names_of(InitType) {
  return std::array{std::pair{InitType::kNormal, std::string_view("normal")},
                    std::pair{InitType::kFanIn, std::string_view("fan_in")}};
}

struct InitConfig {
  InitType type = InitType::kNormal;
  double std = 0.02;
  bool scale_residual = true;

  static constexpr auto fields() {
    using config::field;
    using C = InitConfig;
    return std::tuple{
        field<&C::type>("`normal`: every matrix from N(0, std²) (GPT-2, Radford et al. 2019). "
                        "`fan_in`: matrices from N(0, 1/fan_in), embeddings from N(0, std²)."),
        field<&C::std>("Standard deviation.", config::Positive{}),
        field<&C::scale_residual>("Divide the deviation of matrices that write to the residual "
                                  "stream by sqrt(2·num_layers) (GPT-2).")};
  }
};

struct T5InitConfig {
  static constexpr std::string_view kind = "t5";
  config::WordOr<"none", double> truncate{2.0};

  static constexpr auto fields() {
    return std::tuple{config::field<&T5InitConfig::truncate>(
        "Truncates the feed-forward matrices and an untied head at this number of standard "
        "deviations by redrawing; the variance is not corrected. `none`: no truncation.",
        config::Between{0.5, 10})};
  }
};

struct InitRule {
  std::variant<InitConfig, T5InitConfig> config;
  std::int64_t num_layers = 1;
  ops::Init embedding() const;
  ops::Init matrix(std::int64_t fan_in) const;           // ffn.{w,v}, head
  ops::Init residual_matrix(std::int64_t fan_in) const;  // ffn.w2
  ops::Init query(std::int64_t d_model, std::int64_t head_dim) const;
  ops::Init key_value(std::int64_t d_model) const;
  ops::Init attention_output(std::int64_t fan_in) const;
  ops::Init relative_bias(std::int64_t num_heads, std::int64_t num_buckets) const;
};

}  // namespace sluice::nn
