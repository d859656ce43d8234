#include "nn/init.h"

#include <cmath>

namespace sluice::nn {

ops::Init InitRule::matrix(std::int64_t fan_in) const {
  const double std = config.type == InitType::kFanIn ? 1.0 / std::sqrt(static_cast<double>(fan_in)) : config.std;
  return {ops::Init::Kind::kNormal, std};
}

ops::Init InitRule::residual_matrix(std::int64_t fan_in) const {
  ops::Init init = matrix(fan_in);
  if (config.scale_residual) init.std /= std::sqrt(2.0 * static_cast<double>(num_layers));
  return init;
}

ops::Init InitRule::embedding() const { return {ops::Init::Kind::kNormal, config.std}; }

}  // namespace sluice::nn
