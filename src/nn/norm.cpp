#include "nn/norm.h"

#include "base/error.h"

namespace sluice::nn {

Norm::Norm(ops::Parameters& parameters, const std::string& prefix, const NormConfig& config,
           std::int64_t d_model, bool bias)
    : config_(config) {
  scale_ = parameters.add(
      {.name = prefix + ".scale", .shape = {d_model}, .init = {ops::Init::Kind::kOnes}});
  if (config.type == NormType::kLayerNorm && bias) {
    bias_ = parameters.add(
        {.name = prefix + ".bias", .shape = {d_model}, .init = {ops::Init::Kind::kZeros}});
  }
}

ops::NormOutput Norm::forward(const ops::Residual& residual, at::ScalarType out,
                              const ops::Context& context) const {
  switch (config_.type) {
    case NormType::kRmsNorm:
      return ops::add_rms_norm(residual, *scale_, config_.eps, out, context);
    case NormType::kLayerNorm:
      return ops::add_layer_norm(residual, *scale_, bias_, config_.eps, out, context);
  }
  invariant(false, "every NormType has a case above");
  return {};
}

void Norm::step(const ops::Rows& x, const ops::Rows& y) const {
  ops::row_norm(x,
                {.scale = scale_,
                 .bias = bias_,
                 .eps = config_.eps,
                 .centered = config_.type == NormType::kLayerNorm},
                y);
}

}  // namespace sluice::nn
