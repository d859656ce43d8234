// Position encodings: applied to queries and keys (rope), added to the embedding (learned,
// sinusoidal), or absent (none).
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
    return std::tuple{config::field<&RopeConfig::theta>("Base of the angles (Su et al. 2021).",
                                                        config::Positive{})};
  }
};
struct LearnedConfig {
  static constexpr std::string_view kind = "learned";  // one vector per position
  config::Auto<std::int64_t> max_length;
  static constexpr auto fields() {
    return std::tuple{config::field<&LearnedConfig::max_length>(
        "Number of positions, at least train.sequence_length; `auto`: train.sequence_length.",
        config::Between{1, 16777216})};
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
  std::int64_t sequence_length = 0;  // the value of `max_length: auto`
};

// Logical name of the learned form: position.weight.
class Position {
 public:
  Position(ops::Parameters& parameters, const PositionConfig& config, const PositionSizes& sizes,
           const InitRule& init);
  // Adds position vectors (learned, sinusoidal) to the embedding output x, fp32 [B, T, d_model];
  // returns x unchanged otherwise. InvariantError if T > max_length.
  at::Tensor add_to(const at::Tensor& x_BTD, const ops::Context& context) const;
  // The rotation of queries and keys for at least `length` positions; undefined unless rope.
  ops::Rotary rotary(std::int64_t length, at::Device device) const;
  // The vectors that add_to() adds, fp32 [at least length, d_model]; undefined if none.
  // InvariantError if length > max_length.
  at::Tensor vectors(std::int64_t length, at::Device device) const;

 private:
  at::Tensor sinusoids(std::int64_t length, at::Device device) const;

  PositionConfig config_;
  PositionSizes sizes_;
  const ops::Weight* learned_ = nullptr;
  // Tables for sequence_length positions, computed at the first forward pass. Longer inputs use
  // temporary tables, so that these never change.
  mutable ops::Rotary rotary_;
  mutable at::Tensor sinusoids_TD_;
};

}  // namespace sluice::nn
