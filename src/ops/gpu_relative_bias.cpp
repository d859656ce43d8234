// Shapes: see ops/attention_core.h; R = T + S − 1 distances.
#include "ops/gpu_relative_bias.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"
#include "base/text_format.h"
#include "ops/gpu_launch.h"

namespace sluice::ops {
namespace {

constexpr gpu::Program kBiasProgram{"ops/relative_bias.cu", &kernel_texts},
    kTensorCoreProgram{"ops/bias_gradient.cu", &kernel_texts};

// As in ops/bias_gradient.cu.
constexpr std::int64_t kTile = 64, kDiagonals = 2 * kTile - 1, kSharedBytes = 65536;

struct Sizes {
  std::int64_t B, T, S, H, K, D;
  std::int64_t q_row, k_row;  // elements between two positions
  std::int64_t bias_row;      // elements between two queries
  bool causal;
};

// Elements between two positions; between two sequences of one position.
std::int64_t row_of(const at::Tensor& x) { return x.size(2) > 1 ? x.stride(2) : x.stride(0); }

Sizes sizes_of(const CoreInputs& in) {
  const auto& [q, k, v] = in.heads;
  Sizes s{.B = q.size(0),
          .T = q.size(2),
          .S = k.size(2),
          .H = q.size(1),
          .K = k.size(1),
          .D = q.size(3),
          .q_row = row_of(q),
          .k_row = row_of(k),
          .bias_row = in.bias_HTS.stride(1),
          .causal = in.causal};
  const auto is_packed = [&](const at::Tensor& x, std::int64_t row) {
    return x.stride(3) == 1 && (x.size(1) == 1 || x.stride(1) == s.D) &&
           (x.size(2) == 1 || x.stride(2) == row) && (s.B == 1 || x.stride(0) == row * x.size(2));
  };
  invariant(is_packed(q, s.q_row) && is_packed(k, s.k_row) && is_packed(v, s.k_row),
            "queries, keys and values are views of packed projections");
  return s;
}

gpu::Kernel bias_kernel(const char* entry, const Sizes& s, at::ScalarType type) {
  const int width = vector_width({s.D, s.q_row, s.k_row});
  return {&kBiasProgram,
          cat("using Element = ", element_name(type), ";\nconstexpr int heads = ", s.H,
              ", head_dim = ", s.D, ", width = ", width, ", group = ", s.H / s.K,
              ";\nconstexpr i64 q_row = ", s.q_row, ", k_row = ", s.k_row,
              ";\nconstexpr bool causal = ", s.causal, ";\n"),
          entry};
}

// The sums over heads of y · dy, [B, H, T].
at::Tensor row_products(gpu::Device& device, const Sizes& s, const at::Tensor& y,
                        const at::Tensor& dy) {
  const at::Tensor delta = at::empty({s.B, s.H, s.T}, y.options().dtype(at::kFloat));
  const std::int64_t rows = s.B * s.T;
  gpu::launch(device, bias_kernel("row_products", s, y.scalar_type()),
              {.x = blocks_for(rows * s.H, 32)}, y.const_data_ptr(), dy.const_data_ptr(),
              delta.mutable_data_ptr(), rows, s.T);
  return delta;
}

struct GradientTensors {
  at::Tensor dy, log_sum_exp, delta, dbias_HR;
  // Elements between two heads; between two sequences of one head.
  std::int64_t log_sum_exp_row() const { return log_sum_exp.stride(log_sum_exp.size(1) > 1); }
};

void general_gradient(gpu::Device& device, const CoreInputs& in, const Sizes& s,
                      const GradientTensors& t) {
  gpu::launch(device, bias_kernel("distance_gradient", s, in.heads.q.scalar_type()),
              {.x = s.T + s.S - 1, .y = s.H, .threads = 128}, in.heads.q.const_data_ptr(),
              in.heads.k.const_data_ptr(), in.heads.v.const_data_ptr(), t.dy.const_data_ptr(),
              in.bias_HTS.const_data_ptr(), t.log_sum_exp.const_data_ptr(),
              t.delta.const_data_ptr(), t.dbias_HR.mutable_data_ptr(), s.B, s.T, s.S,
              t.log_sum_exp_row(), s.bias_row, static_cast<float>(in.scale));
}

void tensor_core_gradient(gpu::Device& device, const CoreInputs& in, const Sizes& s,
                          const GradientTensors& t) {
  // Blocks that fill current GPUs; not the number of this one's multiprocessors, on which results
  // must not depend.
  constexpr std::int64_t kEnoughBlocks = 1536;
  const std::int64_t tiles = blocks_for(s.T, kTile) * blocks_for(s.S, kTile),
                     used_tiles = s.causal ? (tiles + blocks_for(s.T, kTile)) / 2 : tiles;
  const std::int64_t parts =
      std::clamp<std::int64_t>(blocks_for(kEnoughBlocks, used_tiles * s.H), 1, s.B);
  const std::string settings = cat(
      "constexpr int queries = ", s.T, ", keys = ", s.S, ", heads = ", s.H, ", group = ", s.H / s.K,
      ", parts = ", parts, ", q_row = ", s.q_row, ", k_row = ", s.k_row, ", dy_row = ", s.H * s.D,
      ";\nconstexpr bool causal = ", s.causal, ";\n");
  const at::Tensor partial = at::empty({parts, s.H, tiles, kDiagonals}, t.delta.options());
  gpu::launch(device, {&kTensorCoreProgram, settings, "bias_gradient"},
              {.x = tiles, .y = s.H, .z = parts, .threads = 128, .shared_bytes = kSharedBytes},
              in.heads.q.const_data_ptr(), in.heads.k.const_data_ptr(), in.heads.v.const_data_ptr(),
              t.dy.const_data_ptr(), in.bias_HTS.const_data_ptr(), t.log_sum_exp.const_data_ptr(),
              t.delta.const_data_ptr(), partial.mutable_data_ptr(), s.B, t.log_sum_exp_row(),
              s.bias_row, static_cast<float>(in.scale));
  gpu::launch(device, {&kTensorCoreProgram, settings, "sum_tiles"},
              {.x = blocks_for(s.T + s.S - 1, 128), .y = s.H, .threads = 128},
              partial.const_data_ptr(), t.dbias_HR.mutable_data_ptr());
}

}  // namespace

at::Tensor expand_bias(gpu::Device& device, const at::Tensor& bias_HR, std::int64_t num_queries,
                       at::ScalarType dtype) {
  const std::int64_t H = bias_HR.size(0), keys = bias_HR.size(1) + 1 - num_queries,
                     row = blocks_for(keys, 8) * 8;
  const at::Tensor mask = at::empty({H, num_queries, row}, bias_HR.options().dtype(dtype));
  // Shapes of heads do not matter here.
  const Sizes sizes{.H = H, .K = H, .D = 8, .q_row = 8, .k_row = 8};
  gpu::launch(device, bias_kernel("expand_bias", sizes, dtype),
              {.x = blocks_for(H * num_queries * (row / 8), 256)}, bias_HR.const_data_ptr(),
              mask.mutable_data_ptr(), num_queries, keys, row);
  return mask.narrow(2, 0, keys);
}

at::Tensor bias_gradient(gpu::Device& device, const CoreInputs& in, const CoreResult& result,
                         const at::Tensor& dy_BTHD) {
  const Sizes s = sizes_of(in);
  const GradientTensors tensors{
      .dy = dy_BTHD,
      .log_sum_exp = result.log_sum_exp_BHT,
      .delta = row_products(device, s, result.y_BTHD, dy_BTHD),
      .dbias_HR = at::empty({s.H, s.T + s.S - 1}, dy_BTHD.options().dtype(at::kFloat))};
  const at::Tensor& z = tensors.log_sum_exp;
  invariant((s.T == 1 || z.stride(2) == 1) &&
                (s.B == 1 || z.stride(0) == s.H * tensors.log_sum_exp_row()),
            "log-sum-exp is [B, H, T], with padded rows at most");
  const bool tensor_cores = in.heads.q.scalar_type() == at::kBFloat16 && s.D == kTile;
  (tensor_cores ? tensor_core_gradient : general_gradient)(device, in, s, tensors);
  return tensors.dbias_HR;
}

}  // namespace sluice::ops
