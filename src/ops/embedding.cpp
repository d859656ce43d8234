// Shapes: B sequences, T positions, N = B·T, d width, V table rows.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cstring>

#include "base/error.h"
#include "ops/choose.h"
#include "ops/gpu_embedding.h"
#include "ops/linear.h"

namespace sluice::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr std::int64_t kRowsPerTask = 256;

at::Tensor gather_rows(const at::Tensor& ids_BT, const at::Tensor& table_Vd) {
  const std::int64_t V = table_Vd.size(0), d = table_Vd.size(1);
  const at::Tensor y = at::empty({ids_BT.size(0), ids_BT.size(1), d}, table_Vd.options());
  const auto* ids = read<std::int64_t>(ids_BT);
  at::parallel_for(0, ids_BT.numel(), kRowsPerTask, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      if (ids[i] < 0 || ids[i] >= V)
        invariant(false, "token id " + std::to_string(ids[i]) + " is within a table of " +
                             std::to_string(V) + " rows");
      std::memcpy(write<float>(y) + i * d, read<float>(table_Vd) + ids[i] * d,
                  static_cast<std::size_t>(d) * sizeof(float));
    }
  });
  return y;
}

// Each thread owns a range of table rows and scans all ids, so a row is summed in the order of its
// occurrences for any number of threads.
void add_rows(const at::Tensor& ids_BT, const at::Tensor& dy, const at::Tensor& gradient_Vd) {
  const std::int64_t V = gradient_Vd.size(0), d = gradient_Vd.size(1), N = ids_BT.numel();
  const auto* ids = read<std::int64_t>(ids_BT);
  const std::int64_t rows_per_thread = (V + at::get_num_threads() - 1) / at::get_num_threads();
  at::parallel_for(0, V, rows_per_thread, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = 0; i < N; ++i) {
      if (ids[i] < begin || ids[i] >= end) continue;
      float* to = write<float>(gradient_Vd) + ids[i] * d;
      const float* from = read<float>(dy) + i * d;
      for (std::int64_t j = 0; j < d; ++j) to[j] += from[j];
    }
  });
}

struct FusedEmbedding : torch::autograd::Function<FusedEmbedding> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& ids_BT,
                            const at::Tensor& table_Vd) {
    ctx->save_for_backward({ids_BT, table_Vd});
    return gather_rows(ids_BT, table_Vd);
  }
  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const variable_list saved = ctx->get_saved_variables();
    add_rows(saved[0], gradients[0].contiguous(), gradient_of(saved[1]));
    return {at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor embedding(const at::Tensor& ids_BT, const Weight& table, const Context& context) {
  invariant(ids_BT.scalar_type() == at::kLong && ids_BT.dim() == 2 && table.value.dim() == 2,
            "token ids are int64 [B, T] and the embedding table is a matrix");
  if (gpu::Device* device = gpu_for(table.value, context))
    return gpu_embedding(ids_BT, table, *device);
  if (!use_cpu_kernels(table.value, context)) return at::embedding(table.value, ids_BT);
  return FusedEmbedding::apply(ids_BT.contiguous(), table.value);
}

}  // namespace sluice::ops
