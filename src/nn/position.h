// Position information: turned into queries and keys (rope), or added to the embedding (learned, sinusoidal), or left out (none).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>
#include <variant>

#include "config/field.h"
#include "nn/init.h"
#include "ops/attention.h"
#include "ops/context.h"
#include "ops/parameters.h"

namespace sluice::nn {

struct RopeConfig {
  static constexpr std::string_view kind = "rope";
  double theta = 10000;
  static constexpr auto fields() {
    return std::tuple{config::field<&RopeConfig::theta>("Base of the angles (Su et al. 2021).", config::Positive{})};
  }
};
struct LearnedConfig {
  static constexpr std::string_view kind = "learned";  // one vector per position, at most train.sequence_length of them
  config::Auto<std::int64_t> max_length;
  static constexpr auto fields() {
    return std::tuple{config::field<&LearnedConfig::max_length>(
        "Number of positions, at least train.sequence_length, which `auto` stands for.", config::Between{1, 16777216})};
  }
};
struct SinusoidalConfig {
  static constexpr std::string_view kind = "sinusoidal";  // Vaswani et al. 2017, section 3.5
  static constexpr auto fields() { return std::tuple{}; }
};
struct NoPositionConfig {
  static constexpr std::string_view kind = "none";
  static constexpr auto fields() { return std::tuple{}; }
};

using PositionConfig = std::variant<RopeConfig, LearnedConfig, SinusoidalConfig, NoPositionConfig>;

struct PositionSizes {
  std::int64_t d_model = 0, head_dim = 0;
  std::int64_t sequence_length = 0;  // what `max_length: auto` stands for
};

// Logical name of the learned form: position.weight.
class Position {
 public:
  Position(ops::Parameters& parameters, const PositionConfig& config, const PositionSizes& sizes, const InitRule& init);
  // Embedding output x, fp32 [B, T, d_model], with the position vectors added (learned, sinusoidal), or as it is. At most
  // max_length positions (InvariantError).
  at::Tensor add_to(const at::Tensor& x_BTD, const ops::Context& context) const;
  // The rotation of queries and keys for at least T positions; undefined where there is none.
  ops::Rotary rotary(std::int64_t length, at::Device device) const;

 private:
  at::Tensor sinusoids(std::int64_t length, at::Device device) const;

  PositionConfig config_;
  PositionSizes sizes_;
  const ops::Weight* learned_ = nullptr;
  // Tables for sequence_length positions, made at the first forward pass. Longer inputs get tables of their own, so that these never change.
  mutable ops::Rotary rotary_;
  mutable at::Tensor sinusoids_TD_;
};

}  // namespace sluice::nn
