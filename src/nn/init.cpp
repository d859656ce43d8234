#include "nn/init.h"

#include <cmath>

namespace sluice::nn {
namespace {

ops::Init normal(double std) { return {.kind = ops::Init::Kind::kNormal, .std = std}; }

double root(std::int64_t n) { return std::sqrt(static_cast<double>(n)); }

}  // namespace

ops::Init InitRule::embedding() const {
  const auto* plain = std::get_if<InitConfig>(&config);
  return normal(plain ? plain->std : 1.0);
}

ops::Init InitRule::matrix(std::int64_t fan_in) const {
  if (const auto* t5 = std::get_if<T5InitConfig>(&config)) {
    if (!t5->truncate.value) return normal(1.0 / root(fan_in));
    return {.kind = ops::Init::Kind::kTruncatedNormal,
            .std = 1.0 / root(fan_in),
            .limit = *t5->truncate};
  }
  const auto& plain = std::get<InitConfig>(config);
  return normal(plain.type == InitType::kFanIn ? 1.0 / root(fan_in) : plain.std);
}

ops::Init InitRule::residual_matrix(std::int64_t fan_in) const {
  ops::Init init = matrix(fan_in);
  const auto* plain = std::get_if<InitConfig>(&config);
  if (plain && plain->scale_residual) init.std /= std::sqrt(2.0 * static_cast<double>(num_layers));
  return init;
}

ops::Init InitRule::query(std::int64_t d_model, std::int64_t head_dim) const {
  return std::holds_alternative<T5InitConfig>(config) ? normal(1.0 / root(d_model * head_dim))
                                                      : matrix(d_model);
}

ops::Init InitRule::key_value(std::int64_t d_model) const {
  return std::holds_alternative<T5InitConfig>(config) ? normal(1.0 / root(d_model))
                                                      : matrix(d_model);
}

ops::Init InitRule::attention_output(std::int64_t fan_in) const {
  return std::holds_alternative<T5InitConfig>(config) ? normal(1.0 / root(fan_in))
                                                      : residual_matrix(fan_in);
}

ops::Init InitRule::relative_bias(std::int64_t num_heads, std::int64_t num_buckets) const {
  return {.kind = ops::Init::Kind::kUniform,
          .limit = std::sqrt(6.0 / static_cast<double>(num_heads + num_buckets))};
}

}  // namespace sluice::nn
