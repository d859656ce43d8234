// Shapes: N rows, I in, O out.
#include "ops/rows.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>

#include "base/error.h"
#include "ops/activation_kernels.h"
#include "ops/choose.h"
#include "ops/norm_kernels.h"
#include "ops/row_kernels.h"

namespace sluice::ops {
namespace {

// Work below this many elements or multiply-adds stays on one thread.
constexpr std::int64_t kElementsPerTask = 1 << 14, kMultiplyAddsPerTask = 1 << 16;
// Outputs per unit of parallel work: whole tiles of every instruction set.
constexpr std::int64_t kColumnsPerUnit = 16;

template <class Body>
void for_each_row(const Rows& rows, const Body& body) {
  const std::int64_t grain = std::max<std::int64_t>(1, kElementsPerTask / rows.width);
  at::parallel_for(0, rows.count, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) body(i);
  });
}

}  // namespace

Rows RowBuffer::rows(std::int64_t count, std::int64_t width) {
  const auto size = static_cast<std::size_t>(count * width);
  if (memory_.size() < size) memory_.resize(size);
  return {memory_.data(), count, width};
}

void row_linear(const Rows& x, const Weight& weight, const Weight* bias, const Rows& y) {
  const at::Tensor& w_OI = weight.compute;
  invariant(w_OI.is_cpu() && w_OI.is_contiguous() && w_OI.dim() == 2 && w_OI.size(1) == x.width &&
                y.width <= w_OI.size(0) && x.count == y.count && is_fused_type(w_OI.scalar_type()),
            "a row product has a weight [outputs, inputs] on the CPU in fp32 or bf16");
  const bool bf16 = w_OI.scalar_type() == at::kBFloat16;
  const RowKernels& kernels = row_kernels();
  const auto* weights = static_cast<const char*>(w_OI.const_data_ptr());
  const std::int64_t row_bytes = x.width * w_OI.element_size(),
                     units = (y.width + kColumnsPerUnit - 1) / kColumnsPerUnit,
                     work = std::max<std::int64_t>(1, kColumnsPerUnit * x.width * x.count);
  const float* added = bias != nullptr ? read<float>(bias->value) : nullptr;
  const auto columns = [&](std::int64_t first_unit, std::int64_t last_unit) {
    const std::int64_t first = first_unit * kColumnsPerUnit,
                       last = std::min(last_unit * kColumnsPerUnit, y.width);
    const RowProduct product{.x = x.data,
                             .weight = weights + first * row_bytes,
                             .y = y.data + first,
                             .rows = x.count,
                             .columns = last - first,
                             .inner = x.width,
                             .y_stride = y.width};
    (bf16 ? kernels.product_bf16 : kernels.product_f32)(product);
    if (added == nullptr) return;
    for (std::int64_t n = 0; n < y.count; ++n)
      for (std::int64_t o = first; o < last; ++o) y.row(n)[o] += added[o];
  };
  at::parallel_for(0, units, std::max<std::int64_t>(1, kMultiplyAddsPerTask / work), columns);
}

void add_rows(const Rows& x, const Rows& y) {
  invariant(x.count == y.count && x.width == y.width, "added rows have one size");
  for_each_row(x, [&](std::int64_t n) {
    float* to = x.row(n);
    const float* from = y.row(n);
    for (std::int64_t i = 0; i < x.width; ++i) to[i] += from[i];
  });
}

void row_norm(const Rows& x, const RowNorm& norm, const Rows& y) {
  const float *scale = read<float>(norm.scale->value),
              *bias = norm.bias != nullptr ? read<float>(norm.bias->value) : nullptr;
  const NormSize size{1, x.width, static_cast<float>(norm.eps), norm.centered};
  for_each_row(x, [&](std::int64_t n) {
    RowStatistics statistics{};
    run_kernel<NormKernel>(static_cast<const float*>(x.row(n)), scale, bias, y.row(n), &statistics,
                           size);
  });
}

void row_activation(const Rows& ab, const Activation& f, bool gated, const Rows& y,
                    const Weight* scalars) {
  invariant(ab.width == (gated ? 2 : 1) * y.width, "a gated activation halves the width");
  invariant(f.scalars.empty() == (scalars == nullptr),
            "an activation receives its learned scalars");
  const ActivationScalars values{.values =
                                     scalars != nullptr ? read<float>(scalars->value) : nullptr};
  const auto kernel = gated ? f.kernels->f32.gated : f.kernels->f32.plain;
  for_each_row(y, [&](std::int64_t n) { kernel(ab.row(n), y.row(n), 1, y.width, values); });
}

}  // namespace sluice::ops
