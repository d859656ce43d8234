// Kernels of the inference on rows (ops/rows.h, ops/key_values.h), compiled once per instruction
// set. Every result is computed by one sequence of operations that depends on the sizes of its own
// row only, so it does not depend on the rows computed together with it (He et al. 2025,
// "Defeating Nondeterminism in LLM Inference": batch-invariant kernels).
#pragma once

#include <cstdint>

namespace sluice::ops {

inline constexpr std::int64_t kLanes = 16;  // elements that the kernels process together

// y[n][c] = Σₖ x[n][k] w[c][k] for n < rows and c < columns. Sixteen partial sums over
// k mod 16, added in a fixed order.
struct RowProduct {
  const float* x = nullptr;      // [rows, inner]
  const void* weight = nullptr;  // [columns, inner], fp32 or bf16
  float* y = nullptr;            // [rows, y_stride]
  std::int64_t rows = 0, columns = 0, inner = 0, y_stride = 0;
};

// One query against the first `num_keys` keys of one head.
struct HeadKeys {
  const float* query = nullptr;   // [head_dim]
  const float* keys = nullptr;    // [blocks of 16 keys, head_dim, 16]
  const float* values = nullptr;  // [keys, value_stride]; the stride is a multiple of 16
  std::int64_t num_keys = 0, head_dim = 0, value_stride = 0;
};

struct RowKernels {
  void (*product_f32)(const RowProduct&) = nullptr;
  void (*product_bf16)(const RowProduct&) = nullptr;
  // scores[j] = Σ_d query[d] keys[j][d], written in blocks of 16
  void (*scores)(const HeadKeys&, float* scores) = nullptr;
  // out[d] = Σ_j weights[j] values[j][d], in the order of j; value_stride elements
  void (*weighted_sum)(const HeadKeys&, const float* weights, float* out) = nullptr;
};

extern const RowKernels kBaselineRowKernels, kAvx2RowKernels, kAvx512RowKernels;
// Those for this processor.
const RowKernels& row_kernels();

}  // namespace sluice::ops
