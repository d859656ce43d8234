#include "nn/ffn.h"

#include <vector>

#include "ops/activation_linear.h"
#include "ops/glu.h"
#include "ops/linear.h"

namespace sluice::nn {

Ffn::Ffn(ops::Parameters& parameters, const std::string& prefix, const FfnVariant& variant,
         const FfnSizes& sizes, const InitRule& init)
    : variant_(&variant) {
  std::vector<ops::ParameterSpec> matrices, vectors;
  for (const char* name : {".w", ".v"}) {
    if (name[1] == 'v' && !variant.gated) continue;
    matrices.push_back({.name = prefix + name + ".weight",
                        .shape = {sizes.d_ff, sizes.d_model},
                        .init = init.matrix(sizes.d_model),
                        .decay = true,
                        .is_operand = true});
    vectors.push_back({.name = prefix + name + ".bias", .shape = {sizes.d_ff}});
  }
  wv_ = parameters.add(std::move(matrices));
  if (sizes.bias) wv_bias_ = parameters.add(std::move(vectors));
  w2_ = parameters.add({.name = prefix + ".w2.weight",
                        .shape = {sizes.d_model, sizes.d_ff},
                        .init = init.residual_matrix(sizes.d_ff),
                        .decay = true,
                        .is_operand = true});
  std::vector<ops::ParameterSpec> scalars;
  for (const ops::LearnedScalar& scalar : variant.activation.scalars)
    scalars.push_back({.name = prefix + ".activation." + std::string(scalar.name),
                       .shape = {scalar.size},
                       .init = {.kind = ops::Init::Kind::kConstant, .value = scalar.initial}});
  if (!scalars.empty()) scalars_ = parameters.add(std::move(scalars));
  if (sizes.bias)
    w2_bias_ = parameters.add({.name = prefix + ".w2.bias", .shape = {sizes.d_model}});
}

at::Tensor Ffn::forward(const at::Tensor& x, const ops::Dropout& hidden,
                        const ops::Context& context) const {
  const at::Tensor ab = ops::linear(x, *wv_, wv_bias_, context);
  if (!hidden.active(context))
    return ops::activation_linear(ab,
                                  {.f = variant_->activation,
                                   .gated = variant_->gated,
                                   .weight = *w2_,
                                   .bias = w2_bias_,
                                   .scalars = scalars_},
                                  context);
  const at::Tensor h = variant_->gated ? ops::glu(ab, variant_->activation, context, scalars_)
                                       : ops::activate(ab, variant_->activation, context, scalars_);
  return ops::linear(ops::dropout(h, hidden, context), *w2_, w2_bias_, context);
}

void Ffn::step(const ops::Rows& x, StepBuffers& buffers, const ops::Rows& y) const {
  const ops::Rows ab = buffers.ab.rows(x.count, wv_->value.size(0)),
                  hidden = buffers.hidden.rows(x.count, w2_->value.size(1));
  ops::row_linear(x, *wv_, wv_bias_, ab);
  ops::row_activation(ab, variant_->activation, variant_->gated, hidden, scalars_);
  ops::row_linear(hidden, *w2_, w2_bias_, y);
}

}  // namespace sluice::nn
