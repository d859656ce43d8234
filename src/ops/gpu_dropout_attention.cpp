// Shapes: see ops/attention_core.h; G = H/K query heads per key head.
#include "ops/gpu_dropout_attention.h"

#include <ATen/ATen.h>

#include "base/text_format.h"
#include "ops/gpu_launch.h"

namespace sluice::ops {
namespace {

constexpr gpu::Program kDropoutAttention{"ops/dropout_attention.cu", &kernel_texts};

gpu::Kernel dropout_kernel_of(const char* entry, const CoreInputs& in) {
  return {&kDropoutAttention,
          cat("using Element = ", element_name(in.heads.q.scalar_type()),
              ";\nconstexpr int heads = ", in.heads.q.size(1), ";\nconstexpr bool causal = ",
              in.causal, ", has_bias = ", in.bias_HTS.defined(), ";\n"),
          entry};
}

// a bᵀ for all pairs, [B, K, G·T, S]: in memory [B, H, T, S].
at::Tensor pair_products(const at::Tensor& a_BHTD, const at::Tensor& b_BKSD, const CoreInputs& in) {
  return at::matmul(grouped_rows(a_BHTD, in), b_BKSD.to(at::kFloat).transpose(-2, -1)).contiguous();
}

struct ScoreRows {
  std::int64_t count, queries, keys;
  gpu::Grid grid() const { return {.x = blocks_for(count, 8)}; }
};

ScoreRows score_rows_of(const CoreInputs& in) {
  const at::Tensor& q = in.heads.q;
  return {q.size(0) * q.size(1) * q.size(2), q.size(2), in.heads.k.size(2)};
}

const void* bias_of(const CoreInputs& in) {
  return in.bias_HTS.defined() ? in.bias_HTS.const_data_ptr() : nullptr;
}
std::int64_t bias_row_of(const CoreInputs& in) {
  return in.bias_HTS.defined() ? in.bias_HTS.stride(1) : 0;
}

}  // namespace

CoreResult dropout_attention(gpu::Device& device, const CoreInputs& in,
                             const AttentionDropout& dropout) {
  const auto& [q, k, v] = in.heads;
  const at::Tensor p = pair_products(q, k, in),
                   log_sum_exp = at::empty({q.size(0), q.size(1), q.size(2)}, p.options());
  const ScoreRows rows = score_rows_of(in);
  gpu::launch(device, dropout_kernel_of("probabilities", in), rows.grid(), p.mutable_data_ptr(),
              bias_of(in), dropout.keys_B.const_data_ptr(), log_sum_exp.mutable_data_ptr(),
              rows.count, rows.queries, rows.keys, bias_row_of(in), static_cast<float>(in.scale),
              static_cast<std::int64_t>(dropout.mask.threshold),
              static_cast<float>(dropout.mask.keep_scale));
  const at::Tensor y = at::matmul(p, v.to(at::kFloat)).view(q.sizes());
  return {y.transpose(1, 2).contiguous().to(q.scalar_type()), log_sum_exp, {}};
}

DropoutAttentionGradients dropout_attention_gradients(gpu::Device& device, const CoreInputs& in,
                                                      const CoreResult& result,
                                                      const at::Tensor& dy_BTHD,
                                                      const AttentionDropout& dropout) {
  const auto& [q, k, v] = in.heads;
  const at::Tensor p = pair_products(q, k, in),
                   dscores = pair_products(dy_BTHD.transpose(1, 2), v, in);
  const at::Tensor delta =
      (result.y_BTHD.to(at::kFloat) * dy_BTHD.to(at::kFloat)).sum(-1).transpose(1, 2).contiguous();
  const ScoreRows rows = score_rows_of(in);
  gpu::launch(device, dropout_kernel_of("score_gradient", in), rows.grid(), p.mutable_data_ptr(),
              dscores.mutable_data_ptr(), bias_of(in), dropout.keys_B.const_data_ptr(),
              result.log_sum_exp_BHT.const_data_ptr(), delta.const_data_ptr(), rows.count,
              rows.queries, rows.keys, bias_row_of(in), static_cast<float>(in.scale),
              static_cast<std::int64_t>(dropout.mask.threshold),
              static_cast<float>(dropout.mask.keep_scale));
  const auto finished = [&](const at::Tensor& x, const at::Tensor& like) {
    return x.view(like.sizes()).to(like.scalar_type());
  };
  DropoutAttentionGradients d{
      .heads = {
          finished(at::matmul(dscores, k.to(at::kFloat)).mul_(in.scale), q),
          finished(at::matmul(dscores.transpose(-2, -1), grouped_rows(q, in)).mul_(in.scale), k),
          finished(at::matmul(p.transpose(-2, -1), grouped_rows(dy_BTHD.transpose(1, 2), in)), v)}};
  if (!in.bias_HTS.defined()) return d;
  d.dbias_HR = at::empty({q.size(1), rows.queries + rows.keys - 1}, p.options());
  gpu::launch(device, dropout_kernel_of("sum_distances", in),
              {.x = rows.queries + rows.keys - 1, .y = q.size(1), .threads = 128},
              dscores.const_data_ptr(), d.dbias_HR.mutable_data_ptr(), q.size(0), rows.queries,
              rows.keys);
  return d;
}

}  // namespace sluice::ops
