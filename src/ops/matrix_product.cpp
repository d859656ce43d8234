#include "ops/matrix_product.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "ops/choose.h"
#include "ops/ordered_product.h"
#include "ops/portable.h"
#include "ops/tiled_product.h"
#include "ops/widened_product.h"

namespace sluice::ops {
namespace {

// LibTorch has no CPU matrix product that accumulates bf16 operands into an fp32 result. Gradients
// of a few rows of W at a time go through a bf16 buffer of this maximum size, which stays in cache.
constexpr std::int64_t kScratchElements = std::int64_t{1} << 21;
constexpr std::int64_t kCastElementsPerTask = 32768;

struct AddKernel {
  [[gnu::always_inline]] static inline void run(float* __restrict to, const Bf16* __restrict from,
                                                std::int64_t n) {
    for (std::int64_t i = 0; i < n; ++i) to[i] += load(from[i]);
  }
};

void add_rounded(const at::Tensor& to, const at::Tensor& from) {
  at::parallel_for(0, to.numel(), kCastElementsPerTask, [&](std::int64_t begin, std::int64_t end) {
    run_kernel<AddKernel>(write<float>(to) + begin, read<Bf16>(from) + begin, end - begin);
  });
}

void add_bf16_gradient(const at::Tensor& gradient_OI, const at::Tensor& dy_NO,
                       const at::Tensor& x_NI) {
  const std::int64_t O = gradient_OI.size(0), I = gradient_OI.size(1);
  const std::int64_t rows = std::clamp<std::int64_t>(
      kScratchElements / std::max<std::int64_t>(1, I) / 64 * 64, 64, std::max<std::int64_t>(64, O));
  const at::Tensor scratch = at::empty({std::min(rows, O), I}, x_NI.options());
  for (std::int64_t first = 0; first < O; first += rows) {
    const std::int64_t n = std::min(rows, O - first);
    at::Tensor part = scratch.narrow(0, 0, n);
    at::mm_out(part, dy_NO.narrow(1, first, n).t(), x_NI);
    add_rounded(gradient_OI.narrow(0, first, n), part);
  }
}

bool use_tiled_product(const at::Tensor& x, const at::Tensor& y) {
  return x.is_cpu() && x.scalar_type() == at::kFloat && x.is_contiguous() && y.is_contiguous() &&
         x.size(0) >= kTiledProductRows && tiled_product_is_faster();
}

bool use_widened_product(const at::Tensor& x) {
  return x.is_cpu() && x.scalar_type() == at::kBFloat16 && widened_product_is_faster();
}

}  // namespace

void forward_product(const at::Tensor& y_NO, const at::Tensor& x_NI, const at::Tensor& weight_OI) {
  if (use_widened_product(x_NI)) return widened_forward_product(y_NO, x_NI, weight_OI);
  if (is_portable(x_NI)) return ordered_product(y_NO, x_NI, weight_OI.t(), false);
  if (use_tiled_product(x_NI, y_NO)) return tiled_forward_product(y_NO, x_NI, weight_OI);
  at::Tensor y = y_NO;
  at::mm_out(y, x_NI, weight_OI.t());
}

void data_gradient(const at::Tensor& dx_NI, const at::Tensor& dy_NO, const at::Tensor& weight_OI) {
  if (use_widened_product(dy_NO)) return widened_data_gradient(dx_NI, dy_NO, weight_OI);
  if (is_portable(dy_NO)) return ordered_product(dx_NI, dy_NO, weight_OI, false);
  if (use_tiled_product(dy_NO, dx_NI)) return tiled_data_gradient(dx_NI, dy_NO, weight_OI);
  at::Tensor dx = dx_NI;
  at::mm_out(dx, dy_NO, weight_OI);
}

void add_data_gradient(const at::Tensor& dx_NI, const at::Tensor& dy_NO,
                       const at::Tensor& weight_OI) {
  if (is_portable(dy_NO)) return ordered_product(dx_NI, dy_NO, weight_OI, true);
  dx_NI.addmm_(dy_NO, weight_OI);
}

void add_weight_gradient(const at::Tensor& gradient_OI, const at::Tensor& dy_NO,
                         const at::Tensor& x_NI) {
  const at::NoGradGuard no_grad;  // writes to the leaf's .grad must not be recorded
  if (use_widened_product(x_NI)) return widened_add_weight_gradient(gradient_OI, dy_NO, x_NI);
  if (is_portable(x_NI)) return ordered_product(gradient_OI, dy_NO.t(), x_NI, true);
  if (x_NI.scalar_type() == at::kBFloat16 && x_NI.is_cpu())
    return add_bf16_gradient(gradient_OI, dy_NO, x_NI);
  if (x_NI.scalar_type() == at::kBFloat16) {
    at::Tensor gradient = gradient_OI;
    at::addmm_out(gradient, gradient, dy_NO.t(), x_NI, at::kFloat);
    return;
  }
  if (use_tiled_product(x_NI, dy_NO)) return tiled_add_weight_gradient(gradient_OI, dy_NO, x_NI);
  gradient_OI.addmm_(dy_NO.t(), x_NI);
}

}  // namespace sluice::ops
