#include "nn/attention.h"

#include <vector>

#include "ops/linear.h"

namespace sluice::nn {

Attention::Attention(ops::Parameters& parameters, const std::string& prefix, const ops::AttentionShape& shape, std::int64_t d_model,
                     bool bias, const InitRule& init)
    : shape_(shape) {
  const std::int64_t q_rows = shape.num_heads * shape.head_dim, kv_rows = shape.num_kv_heads * shape.head_dim;
  const auto matrix = [&](const char* name, std::int64_t rows) {
    return ops::ParameterSpec{.name = prefix + name + ".weight", .shape = {rows, d_model}, .init = init.matrix(d_model), .decay = true};
  };
  const auto vector = [&](const char* name, std::int64_t rows) {
    return ops::ParameterSpec{.name = prefix + name + ".bias", .shape = {rows}};
  };
  qkv_ = parameters.add({matrix(".q", q_rows), matrix(".k", kv_rows), matrix(".v", kv_rows)});
  if (bias) qkv_bias_ = parameters.add({vector(".q", q_rows), vector(".k", kv_rows), vector(".v", kv_rows)});
  o_ = parameters.add({.name = prefix + ".o.weight", .shape = {d_model, q_rows}, .init = init.residual_matrix(q_rows), .decay = true});
  if (bias) o_bias_ = parameters.add(vector(".o", d_model));
}

at::Tensor Attention::forward(const at::Tensor& x_BTD, const ops::Rotary& rotary, const ops::Context& context) const {
  const at::Tensor qkv_BTE = ops::linear(x_BTD, *qkv_, qkv_bias_, context);
  return ops::linear(ops::causal_attention(qkv_BTE, shape_, rotary, context), *o_, o_bias_, context);
}

}  // namespace sluice::nn
