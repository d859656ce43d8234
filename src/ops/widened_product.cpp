#include "ops/widened_product.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/machine.h"
#include "ops/matrix_product.h"

namespace sluice::ops {
namespace {

// fp32 copies have at most 2^20 elements, or 64 rows of x or dy.
constexpr std::int64_t kBlockElements = std::int64_t{1} << 20, kRowStep = 64;
constexpr std::int64_t kOutputs = 2048;  // rows of W at a time

// [first, first + size) of a dimension
struct Range {
  std::int64_t first, size;
};
template <class Visit>
void for_blocks(std::int64_t n, std::int64_t block, const Visit& visit) {
  for (std::int64_t first = 0; first < n; first += block)
    visit(Range{first, std::min(block, n - first)});
}
std::int64_t rows_per_block(std::int64_t I, std::int64_t O) {
  const std::int64_t width = std::max({std::int64_t{1}, I, std::min(O, kOutputs)});
  return std::max(kRowStep, kBlockElements / width / kRowStep * kRowStep);
}

at::Tensor rows_of(const at::Tensor& x, Range rows) { return x.narrow(0, rows.first, rows.size); }
at::Tensor columns_of(const at::Tensor& x, Range columns) {
  return x.narrow(1, columns.first, columns.size);
}
at::Tensor widened(const at::Tensor& x) {
  return x.to(at::kFloat, false, false, c10::MemoryFormat::Contiguous);
}
at::Tensor fp32_matrix(std::int64_t rows, std::int64_t columns) {
  return at::empty({rows, columns}, at::kFloat);
}

}  // namespace

bool widened_product_is_faster() { return !usable_features().has_fast_bf16(); }

void widened_forward_product(const at::Tensor& y_NO, const at::Tensor& x_NI,
                             const at::Tensor& weight_OI) {
  const std::int64_t N = x_NI.size(0), I = x_NI.size(1), O = y_NO.size(1);
  for_blocks(O, kOutputs, [&](Range outputs) {
    const at::Tensor weight = widened(rows_of(weight_OI, outputs));
    for_blocks(N, rows_per_block(I, O), [&](Range rows) {
      const at::Tensor y = fp32_matrix(rows.size, outputs.size);
      forward_product(y, widened(rows_of(x_NI, rows)), weight);
      columns_of(rows_of(y_NO, rows), outputs).copy_(y);
    });
  });
}

void widened_data_gradient(const at::Tensor& dx_NI, const at::Tensor& dy_NO,
                           const at::Tensor& weight_OI) {
  const std::int64_t N = dy_NO.size(0), I = dx_NI.size(1), O = dy_NO.size(1);
  for_blocks(N, rows_per_block(I, O), [&](Range rows) {
    const at::Tensor dx = fp32_matrix(rows.size, I);
    for_blocks(O, kOutputs, [&](Range outputs) {
      const at::Tensor dy = widened(columns_of(rows_of(dy_NO, rows), outputs)),
                       weight = widened(rows_of(weight_OI, outputs));
      if (outputs.first == 0)
        data_gradient(dx, dy, weight);
      else
        add_data_gradient(dx, dy, weight);
    });
    rows_of(dx_NI, rows).copy_(dx);
  });
}

void widened_add_weight_gradient(const at::Tensor& gradient_OI, const at::Tensor& dy_NO,
                                 const at::Tensor& x_NI) {
  const std::int64_t N = x_NI.size(0), I = x_NI.size(1), O = dy_NO.size(1);
  for_blocks(O, kOutputs, [&](Range outputs) {
    for_blocks(N, rows_per_block(I, O), [&](Range rows) {
      add_weight_gradient(rows_of(gradient_OI, outputs),
                          widened(columns_of(rows_of(dy_NO, rows), outputs)),
                          widened(rows_of(x_NI, rows)));
    });
  });
}

}  // namespace sluice::ops
