// The part of the GPU form of attention that a library computes: softmax(mask(scale q kᵀ + bias)) v
// on heads of packed tensors, and its gradients.
//
// Shapes: B sequences, T queries, S keys, H query heads, K key/value heads (divides H), D head_dim.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>

namespace sluice::ops {

// q [B, H, T, D], k and v [B, K, S, D]: views of packed tensors or their gradients, D contiguous.
struct Heads {
  at::Tensor q, k, v;
};

struct CoreInputs {
  Heads heads;
  at::Tensor bias_HTS;  // in the dtype of q, rows padded to a multiple of 8; undefined: no bias
  bool causal = false;  // requires T = S
  double scale = 1;     // of q kᵀ
  bool deterministic = true;   // see ops::Context; of backward, forward always is
  bool with_gradient = false;  // backward follows
};

struct CoreResult {
  at::Tensor y_BTHD;                // contiguous
  at::Tensor log_sum_exp_BHT;       // fp32, natural logarithm; T contiguous, rows may be padded
  std::array<at::Tensor, 2> state;  // what this core's backward needs besides; may be undefined
};

class AttentionCore {
 public:
  virtual ~AttentionCore() = default;
  virtual CoreResult forward(const CoreInputs& inputs) const = 0;
  // The gradients of q, k and v. `packed` are views with their shapes; a core that can write to
  // them returns them, others return tensors of their own, with any strides but D contiguous.
  virtual Heads backward(const CoreInputs& inputs, const CoreResult& result,
                         const at::Tensor& dy_BTHD, const Heads& packed) const = 0;
};

// kPlain: plain_core(). kFlash: FlashAttention-2 for GPUs. kEfficient: LibTorch's memory-efficient
// attention for GPUs. kCudnn: CudnnAttention.
enum class CoreKind { kPlain, kFlash, kEfficient, kCudnn };
struct CoreTraits {
  c10::DeviceType device = c10::DeviceType::CUDA;
  c10::ScalarType type = c10::ScalarType::BFloat16;
  std::int64_t head_dim = 0;
  bool has_bias = false;
  bool has_cudnn = false;  // for training, and cuDNN accepts the shape
};
CoreKind core_kind(const CoreTraits& traits);
inline bool cudnn_takes_head_dim(std::int64_t head_dim) {
  return head_dim % 8 == 0 && head_dim <= 128;
}
// True if the loader finds cuDNN 9.10 or later.
bool has_cudnn_attention();
// The core for these inputs; the same for forward and backward.
const AttentionCore& core_for(const CoreInputs& inputs);

// [B, H, T, D] -> fp32 [B, K, G·T, D]: the query heads that share a key head, G = H/K, are rows of
// one matrix.
at::Tensor grouped_rows(const at::Tensor& x_BHTD, const CoreInputs& inputs);

// Plain products, which compute in fp32 and hold the scores of all pairs in memory. For any inputs.
const AttentionCore& plain_core();

}  // namespace sluice::ops
