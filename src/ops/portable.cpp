#include "ops/portable.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <stdlib.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "base/machine.h"
#include "ops/choose.h"
#include "ops/ordered_product.h"

namespace sluice::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

bool& portable() {
  static bool on = false;
  return on;
}

// [batch, rows, columns]
at::Tensor as_batch(const at::Tensor& x) { return x.reshape({-1, x.size(-2), x.size(-1)}); }

at::Tensor batched_product(const at::Tensor& a, const at::Tensor& b) {
  std::vector<std::int64_t> shape = a.sizes().vec();
  shape.back() = b.size(-1);
  const at::Tensor c = at::empty(shape, a.options());
  const at::Tensor from_a = as_batch(a), from_b = as_batch(b), to = as_batch(c);
  for (std::int64_t i = 0; i < to.size(0); ++i)
    ordered_product(to[i], from_a[i], from_b[i], /*add=*/false);
  return c;
}

// The sum over the batch dimensions in which `shape` has size 1, in order.
at::Tensor summed_to(at::Tensor x, at::IntArrayRef shape) {
  for (std::int64_t d = 0; d + 2 < x.dim(); ++d) {
    const std::int64_t missing = x.dim() - static_cast<std::int64_t>(shape.size());
    if (x.size(d) == 1 || (d >= missing && shape[static_cast<std::size_t>(d - missing)] != 1))
      continue;
    const at::Tensor sum = x.select(d, 0).clone();
    for (std::int64_t i = 1; i < x.size(d); ++i) sum.add_(x.select(d, i));
    x = sum.unsqueeze(d);
  }
  return x.reshape(shape);
}

struct OrderedMatmul : torch::autograd::Function<OrderedMatmul> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& a, const at::Tensor& b) {
    ctx->save_for_backward({a, b});
    return product(a, b);
  }
  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor &a = saved[0], &b = saved[1], &dc = gradients[0];
    return {summed_to(product(dc, b.transpose(-2, -1)), a.sizes()),
            summed_to(product(a.transpose(-2, -1), dc), b.sizes())};
  }
  // With batch dimensions that broadcast.
  static at::Tensor product(const at::Tensor& a, const at::Tensor& b) {
    const auto batch =
        at::infer_size(a.sizes().slice(0, a.dim() - 2), b.sizes().slice(0, b.dim() - 2));
    const auto expanded = [&](const at::Tensor& x) {
      std::vector<std::int64_t> shape(batch.begin(), batch.end());
      shape.insert(shape.end(), {x.size(-2), x.size(-1)});
      return x.expand(shape);
    };
    return batched_product(expanded(a), expanded(b));
  }
};

constexpr std::int64_t kRowsPerTask = 64;

// visit(row): the elements of a row begin at row · x.size(-1).
template <class Visit>
void for_rows(const at::Tensor& x, const Visit& visit) {
  const std::int64_t width = x.size(-1), rows = x.numel() / std::max<std::int64_t>(1, width);
  at::parallel_for(0, rows, kRowsPerTask, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) visit(row * width, width);
  });
}

struct OrderedSoftmax : torch::autograd::Function<OrderedSoftmax> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& input) {
    const at::Tensor x = input.contiguous(), y = at::empty_like(x);
    for_rows(x, [&](std::int64_t at, std::int64_t width) {
      const float* from = read<float>(x) + at;
      float* to = write<float>(y) + at;
      const float largest = *std::max_element(from, from + width);
      float sum = 0;
      for (std::int64_t i = 0; i < width; ++i) sum += to[i] = std::exp(from[i] - largest);
      for (std::int64_t i = 0; i < width; ++i) to[i] /= sum;
    });
    ctx->save_for_backward({y});
    return y;
  }
  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const at::Tensor y = ctx->get_saved_variables()[0], dy = gradients[0].contiguous(),
                     dx = at::empty_like(y);
    for_rows(y, [&](std::int64_t at, std::int64_t width) {
      const float *weight = read<float>(y) + at, *from = read<float>(dy) + at;
      float* to = write<float>(dx) + at;
      float sum = 0;
      for (std::int64_t i = 0; i < width; ++i) sum += weight[i] * from[i];
      for (std::int64_t i = 0; i < width; ++i) to[i] = weight[i] * (from[i] - sum);
    });
    return {dx};
  }
};

}  // namespace

void use_portable_arithmetic(bool on) {
  require(!on || machine().avx2, ExitCode::kUsage, "train.reproducible", "portable",
          "a processor with AVX2 and FMA");
  portable() = on;
  use_at_most_avx2(on);
  if (!on) return;
  setenv("ATEN_CPU_CAPABILITY", "avx2", /*overwrite=*/1);
  invariant(at::get_cpu_capability() == "AVX2",
            "portable arithmetic is on before LibTorch has chosen its kernels");
}

bool is_portable(const at::Tensor& x) {
  return portable() && x.is_cpu() && x.scalar_type() != at::kDouble;
}

at::Tensor ordered_sum(const at::Tensor& x) {
  invariant(x.scalar_type() == at::kDouble, "sums of losses and norms are float64");
  if (!portable() || !x.is_cpu()) return x.sum();
  const at::Tensor values = x.contiguous();
  const auto* value = read<double>(values);
  double sum = 0;
  for (std::int64_t i = 0; i < values.numel(); ++i) sum += value[i];
  return at::scalar_tensor(sum, x.options());
}

at::Tensor ordered_column_sums(const at::Tensor& x_NO) {
  if (!is_portable(x_NO)) return x_NO.sum(0, false, at::kFloat);
  const at::Tensor x = x_NO.contiguous(), sums_O = at::zeros({x.size(1)}, at::kFloat);
  const std::int64_t N = x.size(0), O = x.size(1);
  with_stored_type(x.scalar_type(), [&](auto type) {
    const auto* from = read<decltype(type)>(x);
    auto* sums = write<float>(sums_O);
    at::parallel_for(0, O, 64, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t n = 0; n < N; ++n)
        for (std::int64_t o = begin; o < end; ++o) sums[o] += load(from[n * O + o]);
    });
  });
  return sums_O;
}

at::Tensor portable_softmax(const at::Tensor& x) {
  if (!is_portable(x)) return at::softmax(x, -1);
  return OrderedSoftmax::apply(x);
}

at::Tensor portable_matmul(const at::Tensor& a, const at::Tensor& b) {
  if (!is_portable(a)) return at::matmul(a, b);
  return OrderedMatmul::apply(a, b);
}

}  // namespace sluice::ops
