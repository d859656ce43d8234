#include "nn/match_width.h"

#include <algorithm>
#include <cmath>

namespace sluice::nn {

WidthMatch compare_width(const FfnVariant& variant, const WidthRequest& request,
                         std::int64_t d_ff) {
  const auto d = static_cast<double>(request.d_model), width = static_cast<double>(d_ff),
             reference = static_cast<double>(request.reference);
  const auto matrices = static_cast<double>(variant.num_matrices());
  const double products = matrices * d * width, reference_products = 2 * d * reference;
  const double biases = request.bias ? (matrices - 1) * width + d : 0,
               reference_biases = request.bias ? reference + d : 0;
  const auto scalars = static_cast<double>(variant.activation.num_scalars());
  return {.d_ff = d_ff,
          .mismatch = (products + biases + scalars) / (reference_products + reference_biases) - 1,
          .multiply_add_mismatch = products / reference_products - 1};
}

WidthMatch match_width(const FfnVariant& variant, const WidthRequest& request) {
  const auto matrices = static_cast<double>(variant.num_matrices());
  const auto d = static_cast<double>(request.d_model),
             reference = static_cast<double>(request.reference);
  const double per_unit = matrices * d + (request.bias ? matrices - 1 : 0);
  const double exact = (2 * d * reference + (request.bias ? reference : 0) -
                        static_cast<double>(variant.activation.num_scalars())) /
                       per_unit;
  const std::int64_t below = std::max<std::int64_t>(
      1, static_cast<std::int64_t>(std::floor(exact / static_cast<double>(request.multiple))));
  const WidthMatch low = compare_width(variant, request, below * request.multiple);
  const WidthMatch high = compare_width(variant, request, (below + 1) * request.multiple);
  return std::abs(low.mismatch) <= std::abs(high.mismatch) ? low : high;
}

}  // namespace sluice::nn
