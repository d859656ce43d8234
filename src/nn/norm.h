// Normalization layers.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "config/field.h"
#include "ops/context.h"
#include "ops/norm.h"
#include "ops/parameters.h"
#include "ops/rows.h"

namespace sluice::nn {

enum class NormType { kRmsNorm, kLayerNorm };
constexpr auto names_of(NormType) {
  return std::array{std::pair{NormType::kRmsNorm, std::string_view("rmsnorm")},
                    std::pair{NormType::kLayerNorm, std::string_view("layernorm")}};
}

struct NormConfig {
  NormType type = NormType::kRmsNorm;
  double eps = 1e-6;
  static constexpr auto fields() {
    using config::field;
    using C = NormConfig;
    return std::tuple{
        field<&C::type>("`rmsnorm` (Zhang & Sennrich 2019) or `layernorm` (Ba et al. 2016)."),
        field<&C::eps>("Added to the mean square or variance.", config::Positive{})};
  }
};

// Logical names PREFIX.scale and, for layernorm with bias, PREFIX.bias.
class Norm {
 public:
  Norm(ops::Parameters& parameters, const std::string& prefix, const NormConfig& config,
       std::int64_t d_model, bool bias);
  // x fp32 [..., d_model] -> [..., d_model] of dtype `out`.
  at::Tensor forward(const at::Tensor& x, at::ScalarType out, const ops::Context& context) const {
    return forward(ops::Residual{.x = x}, out, context).y;
  }
  // Adds the update to the residual stream first.
  ops::NormOutput forward(const ops::Residual& residual, at::ScalarType out,
                          const ops::Context& context) const;
  // The same for generation (ops/rows.h).
  void step(const ops::Rows& x, const ops::Rows& y) const;

 private:
  NormConfig config_;
  const ops::Weight *scale_, *bias_ = nullptr;
};

}  // namespace sluice::nn
