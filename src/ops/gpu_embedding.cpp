// Shapes: N positions, d width, V table rows.
#include "ops/gpu_embedding.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "base/text_format.h"
#include "ops/choose.h"
#include "ops/gpu_launch.h"

namespace sluice::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr gpu::Program kEmbeddingProgram{"ops/embedding.cu", &kernel_texts};
constexpr std::int64_t kRun = 32;  // as in the kernels

void add_sorted_rows(gpu::Device& device, const at::Tensor& ids, const at::Tensor& dy,
                     const at::Tensor& gradient_Vd) {
  const std::int64_t d = gradient_Vd.size(1), N = ids.numel();
  const int width = std::min(4, vector_width({d}));
  const std::int64_t threads = std::clamp<std::int64_t>(blocks_for(d / width, 32) * 32, 32, 256);
  const auto [keys_N, order_N] = at::sort(ids.flatten(), /*stable=*/true, 0, /*descending=*/false);
  const auto kernel = [&](const char* entry) {
    return gpu::Kernel{
        &kEmbeddingProgram,
        cat("constexpr int columns = ", d, ", width = ", width, ", threads = ", threads, ";\n"),
        entry};
  };
  const gpu::Grid grid{
      .x = blocks_for(N, kRun), .y = blocks_for(d, threads * width), .threads = threads};
  const at::Tensor edges = at::empty({grid.x, 2, d}, dy.options());
  gpu::launch(device, kernel("add_runs"), grid, dy.const_data_ptr(), order_N.const_data_ptr(),
              keys_N.const_data_ptr(), gradient_Vd.mutable_data_ptr(), edges.mutable_data_ptr(), N);
  gpu::launch(device, kernel("add_edges"), grid, keys_N.const_data_ptr(),
              gradient_Vd.mutable_data_ptr(), edges.const_data_ptr(), N);
}

struct GpuEmbedding : torch::autograd::Function<GpuEmbedding> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& ids_BT,
                            const at::Tensor& table_Vd, gpu::Device* device) {
    ctx->save_for_backward({ids_BT, table_Vd});
    ctx->saved_data["device"] = reinterpret_cast<std::int64_t>(device);
    return at::embedding(table_Vd, ids_BT);
  }
  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const variable_list saved = ctx->get_saved_variables();
    add_sorted_rows(*reinterpret_cast<gpu::Device*>(ctx->saved_data["device"].toInt()), saved[0],
                    gradients[0].contiguous(), gradient_of(saved[1]));
    return {at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor gpu_embedding(const at::Tensor& ids_BT, const Weight& table, gpu::Device& device) {
  return GpuEmbedding::apply(ids_BT, table.value, &device);
}

}  // namespace sluice::ops
