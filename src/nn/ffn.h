// Feed-forward layers of the GLU family (Shazeer 2020, "GLU Variants Improve Transformer",
// section 2).
//
// Each variant is one row of kFfnVariants, from which YAML names, schema, reference page and test
// parameters are derived. To add a variant, add a row.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "config/field.h"
#include "nn/ffn_variants.h"
#include "nn/init.h"
#include "ops/context.h"
#include "ops/dropout.h"
#include "ops/parameters.h"
#include "ops/rows.h"

namespace sluice::nn {

struct FfnSizes {
  std::int64_t d_model = 0, d_ff = 0;
  bool bias = false;
};

// y = f(x Wᵀ) W2ᵀ, or (f(x Wᵀ) * x Vᵀ) W2ᵀ for gated variants. Logical names
// PREFIX.{w,v,w2}.{weight,bias}; w and v share a slot. The learned scalars of f, if any, are
// PREFIX.activation.NAME.
class Ffn {
 public:
  Ffn(ops::Parameters& parameters, const std::string& prefix, const FfnVariant& variant,
      const FfnSizes& sizes, const InitRule& init);
  // [B, ..., d_model] -> [B, ..., d_model]; `hidden`: dropout of the hidden layer.
  at::Tensor forward(const at::Tensor& x, const ops::Dropout& hidden,
                     const ops::Context& context) const;
  at::Tensor forward(const at::Tensor& x, const ops::Context& context) const {
    return forward(x, {}, context);
  }
  // The same without dropout, for generation (ops/rows.h).
  struct StepBuffers {
    ops::RowBuffer ab, hidden;
  };
  void step(const ops::Rows& x, StepBuffers& buffers, const ops::Rows& y) const;

 private:
  const FfnVariant* variant_;
  const ops::Weight *wv_, *w2_, *wv_bias_ = nullptr, *w2_bias_ = nullptr, *scalars_ = nullptr;
};

}  // namespace sluice::nn
