#include "nn/attention.h"

#include <utility>
#include <vector>

#include "base/error.h"
#include "ops/linear.h"

namespace sluice::nn {

Attention::Attention(ops::Parameters& parameters, const std::string& prefix,
                     const AttentionConfig& config, const InitRule& init)
    : config_(config) {
  const ops::AttentionShape& shape = config.shape;
  const std::int64_t q_rows = shape.query_columns(), kv_rows = shape.num_kv_heads * shape.head_dim;
  const auto matrix = [&](const char* name, std::int64_t rows, const ops::Init& values) {
    return ops::ParameterSpec{.name = prefix + name + ".weight",
                              .shape = {rows, config.d_model},
                              .init = values,
                              .decay = true,
                              .is_operand = true};
  };
  const auto vector = [&](const char* name, std::int64_t rows) {
    return ops::ParameterSpec{.name = prefix + name + ".bias", .shape = {rows}};
  };
  std::vector<ops::ParameterSpec> q{
      matrix(".q", q_rows, init.query(config.d_model, shape.head_dim))},
      q_bias{vector(".q", q_rows)};
  std::vector<ops::ParameterSpec> kv, kv_bias;
  for (const char* name : {".k", ".v"}) {
    (config.cross ? kv : q).push_back(matrix(name, kv_rows, init.key_value(config.d_model)));
    (config.cross ? kv_bias : q_bias).push_back(vector(name, kv_rows));
  }
  q_ = parameters.add(std::move(q));
  if (config.bias) q_bias_ = parameters.add(std::move(q_bias));
  if (config.cross) kv_ = parameters.add(std::move(kv));
  if (config.cross && config.bias) kv_bias_ = parameters.add(std::move(kv_bias));
  o_ = parameters.add({.name = prefix + ".o.weight",
                       .shape = {config.d_model, q_rows},
                       .init = init.attention_output(q_rows),
                       .decay = true,
                       .is_operand = true});
  if (config.bias) o_bias_ = parameters.add(vector(".o", config.d_model));
}

at::Tensor Attention::forward(const at::Tensor& x_BTD, const AttentionSources& sources,
                              const ops::Context& context) const {
  invariant(sources.encoded_BSD.defined() == config_.cross,
            "an encoded sequence is passed if and only if this is cross-attention");
  const ops::AttentionInputs inputs{
      .q = ops::linear(x_BTD, *q_, q_bias_, context),
      .kv =
          config_.cross ? ops::linear(sources.encoded_BSD, *kv_, kv_bias_, context) : at::Tensor(),
      .rotary = sources.rotary,
      .bias_HR = sources.bias_HR,
      .may_overwrite = true};
  return ops::linear(ops::attention(inputs, config_.shape, config_.rule, context), *o_, o_bias_,
                     context);
}

void Attention::step(const ops::Rows& x, const AttentionStep& step, StepBuffers& buffers,
                     const ops::Rows& y) const {
  const ops::AttentionShape& shape = config_.shape;
  const std::int64_t q_columns = shape.query_columns(), D = shape.head_dim,
                     kv_columns = shape.num_kv_heads * D;
  const ops::Rows projected = buffers.projected.rows(x.count, q_->value.size(0)),
                  attended = buffers.attended.rows(x.count, q_columns);
  ops::row_linear(x, *q_, q_bias_, projected);
  for (std::int64_t n = 0; n < x.count && !config_.cross; ++n) {
    const std::int64_t position = step.positions[static_cast<std::size_t>(n)];
    float *q = projected.row(n), *k = q + q_columns;
    // q and k are adjacent
    if (step.rotary.defined())
      ops::rotate_heads(q, shape.num_heads + shape.num_kv_heads, step.rotary, position);
    step.cache[static_cast<std::size_t>(n)]->write(position, k, k + kv_columns);
  }
  ops::attend({projected, step.cache, step.num_keys, step.positions}, shape,
              {config_.rule.divisor, step.bias_HR}, attended);
  ops::row_linear(attended, *o_, o_bias_, y);
}

void Attention::read_encoded(const ops::Rows& encoded, StepBuffers& buffers,
                             ops::KeyValues& cache) const {
  invariant(config_.cross, "only cross-attention reads an encoded sequence");
  const ops::Rows projected =
      buffers.projected.rows(encoded.count, config_.shape.key_value_columns());
  ops::row_linear(encoded, *kv_, kv_bias_, projected);
  for (std::int64_t n = 0; n < encoded.count; ++n)
    cache.write(n, projected.row(n), projected.row(n) + projected.width / 2);
}

}  // namespace sluice::nn
