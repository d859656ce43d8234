#include "ops/product_rate.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "base/clock.h"

namespace sluice::ops {

double measure_product_rate(c10::ScalarType dtype, double seconds) {
  constexpr std::int64_t kRows = 2048, kInner = 512, kColumns = 1024;
  const at::NoGradGuard no_grad;
  // Incommensurate waves: zeros and other simple data run faster than real data.
  const auto waves = [&](std::int64_t rows, std::int64_t columns, double frequency) {
    return at::arange(rows * columns, at::kFloat)
        .mul_(frequency)
        .sin_()
        .view({rows, columns})
        .to(dtype);
  };
  const at::Tensor a = waves(kRows, kInner, 0.7), b = waves(kInner, kColumns, 1.3);
  const double end_s = monotonic_s() + seconds;
  at::Tensor c = at::mm(a, b);
  double best_s = 1e9;
  do {
    const double begin_s = monotonic_s();
    at::mm_out(c, a, b);
    best_s = std::min(best_s, monotonic_s() - begin_s);
  } while (monotonic_s() < end_s);
  return 2.0 * kRows * kInner * kColumns / best_s;
}

}  // namespace sluice::ops
