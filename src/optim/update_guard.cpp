#include "optim/update_guard.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>

namespace sluice::optim {
namespace {

// Reads a scalar in host memory; `otherwise` if it is undefined.
double value_of(const at::Tensor& scalar, double otherwise) {
  return scalar.defined() ? *static_cast<const double*>(scalar.const_data_ptr()) : otherwise;
}

}  // namespace

bool should_apply(const Update& update, double norm) {
  constexpr double kNoLimit = std::numeric_limits<double>::infinity();
  const double loss = value_of(update.loss, 0);
  return std::isfinite(loss) && std::isfinite(norm) &&
         loss <= value_of(update.loss_limit, kNoLimit) &&
         norm <= value_of(update.norm_limit, kNoLimit);
}

at::Tensor should_apply(const Update& update, const at::Tensor& norm) {
  at::Tensor applied = at::isfinite(update.loss).logical_and(at::isfinite(norm));
  if (update.loss_limit.defined()) applied = applied.logical_and(update.loss <= update.loss_limit);
  if (update.norm_limit.defined()) applied = applied.logical_and(norm <= update.norm_limit);
  return applied;
}

at::Tensor scalar_like(const at::Tensor& like, double value, at::ScalarType type) {
  return at::full({}, value, like.options().dtype(type).requires_grad(false));
}

}  // namespace sluice::optim
