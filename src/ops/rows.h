// Operations of generation and scoring on rows of fp32 numbers on a CPU, without gradients.
//
// A row is one token. The result of a row has the same bits whatever the number and the content of
// the other rows (ops/row_kernels.h), so a token can be computed alone, with the rest of its prompt
// or in a batch. The matrices may be bf16; rows stay fp32, so a bf16 model rounds its weights only.
#pragma once

#include <cstdint>
#include <vector>

#include "ops/glu.h"
#include "ops/parameters.h"

namespace sluice::ops {

// [count, width], contiguous, borrowed.
struct Rows {
  float* data = nullptr;
  std::int64_t count = 0, width = 0;
  float* row(std::int64_t i) const { return data + i * width; }
};

// Memory for rows that grows and is reused.
class RowBuffer {
 public:
  Rows rows(std::int64_t count, std::int64_t width);  // invalidates earlier rows; not initialized

 private:
  std::vector<float> memory_;
};

// y = x Wᵀ (+ bias). Computes the first y.width outputs of the weight, whose compute dtype is fp32
// or bf16. x and y do not overlap.
void row_linear(const Rows& x, const Weight& weight, const Weight* bias, const Rows& y);

// x += y
void add_rows(const Rows& x, const Rows& y);

// As rms_norm and layer_norm (ops/norm.h). `bias` may be nullptr.
struct RowNorm {
  const Weight* scale = nullptr;
  const Weight* bias = nullptr;
  double eps = 0;
  bool centered = false;  // layer_norm
};
void row_norm(const Rows& x, const RowNorm& norm, const Rows& y);

// As glu (ab has twice the width of y) and activate (ops/glu.h).
void row_activation(const Rows& ab, const Activation& f, bool gated, const Rows& y,
                    const Weight* scalars = nullptr);

}  // namespace sluice::ops
