// The graphs of attention that cuDNN recognizes and runs as one kernel, forward and backward. They
// have the operations, layouts and types of "scaled dot product attention" in NVIDIA's
// cudnn-frontend 1.15 (MIT): cuDNN compares graphs with patterns, and other forms of the same
// formula are refused or slow.
//
// Shapes: see ops/attention_core.h.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>

#include "ops/cudnn_graph.h"

namespace sluice::ops {

// Everything that a plan depends on.
struct CudnnAttentionShape {
  int device = 0;
  CudnnData type = CudnnData::kBf16;
  std::int64_t B = 0, H = 0, K = 0, T = 0, S = 0, D = 0;
  // Strides of q [B, H, T, D], k and v [B, K, S, D], also of their gradients; y is [B, T, H, D].
  CudnnGraph::Sizes q, k, v;
  std::int64_t bias_row = 0;  // elements between two queries in a bias [H, T, S]; 0: no bias
  bool causal = false;
  bool deterministic = true;  // of backward

  friend auto operator<=>(const CudnnAttentionShape&, const CudnnAttentionShape&) = default;
};

// IDs of the tensors in memory.
enum CudnnAttentionTensor : CudnnGraph::Tensor {
  kCudnnQ = 1,
  kCudnnK,
  kCudnnV,
  kCudnnY,
  kCudnnLogSumExp,  // fp32 [B, H, T, 1]
  kCudnnBias,
  kCudnnDy,
  kCudnnDq,
  kCudnnDk,
  kCudnnDv,
  kCudnnDelta,            // fp32 [B, H, T, 1]: y · dy, written and read by backward
  kCudnnDqSum,            // fp32 [B, H, T, D], if not deterministic: likewise
  kCudnnQueryLengths,     // int32 [B], all T, if backward_needs_lengths()
  kCudnnKeyLengths,       // int32 [B], all S, likewise
  kCudnnScale,            // on the host
  kCudnnLowestOfFuture,   // on the host: −infinity, if causal
  kCudnnLowestOfPadding,  // on the host: −infinity, if backward_needs_lengths()
  kCudnnOne,              // on the host: 1
};

// Backward computes tiles of 128 queries; given the lengths, it masks what exceeds T and S.
inline bool backward_needs_lengths(const CudnnAttentionShape& s) { return s.T % 128 != 0; }

void add_attention_forward(CudnnGraph& graph, const CudnnAttentionShape& shape);
void add_attention_backward(CudnnGraph& graph, const CudnnAttentionShape& shape);

}  // namespace sluice::ops
