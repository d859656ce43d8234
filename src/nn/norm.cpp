#include "nn/norm.h"

#include "base/error.h"
#include "ops/norm.h"

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

at::Tensor Norm::forward(const at::Tensor& x, at::ScalarType out,
                         const ops::Context& context) const {
  switch (config_.type) {
    case NormType::kRmsNorm:
      return ops::rms_norm(x, *scale_, config_.eps, out, context);
    case NormType::kLayerNorm:
      return ops::layer_norm(x, *scale_, bias_, config_.eps, out, context);
  }
  invariant(false, "every NormType has a case above");
  return {};
}

}  // namespace sluice::nn
