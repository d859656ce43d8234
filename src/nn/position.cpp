// Shapes: B sequences, T positions, D d_model.
#include "nn/position.h"

#include <ATen/ATen.h>

#include <cmath>

#include "base/error.h"
#include "ops/linear.h"

namespace sluice::nn {
namespace {

// Column i is sin(position · 10000^(−i/d_model)) for even i, and column i + 1 the cosine of the
// same angle; fp32 [length, d_model].
at::Tensor make_sinusoids(std::int64_t length, std::int64_t d_model, at::Device device) {
  const at::Tensor table = at::empty({length, d_model}, at::kFloat);
  float* to = table.mutable_data_ptr<float>();
  const double step = -std::log(10000.0) / static_cast<double>(d_model);
  for (std::int64_t t = 0; t < length; ++t) {
    for (std::int64_t i = 0; i < d_model; ++i) {
      const std::int64_t even = i - i % 2;
      const double frequency = std::exp(static_cast<double>(even) * step);
      const double angle = static_cast<double>(t) * frequency;
      to[t * d_model + i] = static_cast<float>(i % 2 == 0 ? std::sin(angle) : std::cos(angle));
    }
  }
  return table.to(device);
}

}  // namespace

Position::Position(ops::Parameters& parameters, const PositionConfig& config,
                   const PositionSizes& sizes, const InitRule& init)
    : config_(config), sizes_(sizes) {
  if (const auto* learned = std::get_if<LearnedConfig>(&config)) {
    sizes_.sequence_length = learned->max_length.value_or(sizes_.sequence_length);
    learned_ = parameters.add({.name = "position.weight",
                               .shape = {sizes_.sequence_length, sizes.d_model},
                               .init = init.embedding(),
                               .decay = true});
  }
}

at::Tensor Position::add_to(const at::Tensor& x_BTD, const ops::Context& context) const {
  const std::int64_t length = x_BTD.size(1);
  if (learned_ != nullptr) {
    invariant(length <= sizes_.sequence_length,
              "the input is at most as long as the learned position table");
    const at::Tensor positions_1T =
        at::arange(length, at::TensorOptions(at::kLong).device(x_BTD.device())).unsqueeze(0);
    return x_BTD + ops::embedding(positions_1T, *learned_, context);
  }
  if (std::holds_alternative<SinusoidalConfig>(config_))
    return x_BTD + sinusoids(length, x_BTD.device());
  return x_BTD;
}

ops::Rotary Position::rotary(std::int64_t length, at::Device device) const {
  const auto* rope = std::get_if<RopeConfig>(&config_);
  if (rope == nullptr) return {};
  if (length > sizes_.sequence_length)
    return ops::Rotary::make(length, sizes_.head_dim, rope->theta, device);
  if (!rotary_.defined() || rotary_.cos.device() != device) {
    rotary_ = ops::Rotary::make(sizes_.sequence_length, sizes_.head_dim, rope->theta, device);
  }
  return rotary_;
}

at::Tensor Position::vectors(std::int64_t length, at::Device device) const {
  if (learned_ != nullptr) {
    invariant(length <= sizes_.sequence_length,
              "the input is at most as long as the learned position table");
    return learned_->value;
  }
  return std::holds_alternative<SinusoidalConfig>(config_) ? sinusoids(length, device)
                                                           : at::Tensor();
}

at::Tensor Position::sinusoids(std::int64_t length, at::Device device) const {
  if (length > sizes_.sequence_length) return make_sinusoids(length, sizes_.d_model, device);
  if (!sinusoids_TD_.defined() || sinusoids_TD_.device() != device) {
    sinusoids_TD_ = make_sinusoids(sizes_.sequence_length, sizes_.d_model, device);
  }
  return sinusoids_TD_.narrow(0, 0, length);
}

}  // namespace sluice::nn
