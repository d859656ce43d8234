// Activations saved for backward, by sublayer. See save_for_backward in the ops.
#pragma once

#include <cstdint>

namespace sluice::model {

// Bytes per sequence.
struct ActivationMemory {
  std::uint64_t kept = 0;       // saved for backward
  std::uint64_t temporary = 0;  // peak of temporaries in the backward pass of one block
};

// Bytes per token: the fp32 residual stream before each norm and, in the compute dtype, the
// operands of the matrix products and the tensors saved by attention and activation.
struct KeptBytes {
  std::uint64_t d = 0, q = 0, kv = 0;  // columns
  // saved columns of a feed-forward layer: activation input (both halves if gated) and output
  std::uint64_t hidden = 0;
  std::uint64_t element = 4;  // bytes of the compute dtype

  std::uint64_t self_attention() const { return 4 * d + element * (d + 2 * (q + 2 * kv) + q); }
  // per target token
  std::uint64_t cross_attention() const { return 4 * d + element * (d + 2 * q + q); }
  // per input token
  std::uint64_t cross_keys() const { return element * 2 * (2 * kv); }
  std::uint64_t ffn() const { return 4 * d + element * (d + hidden); }
  std::uint64_t embedding_and_final_norm() const { return 4 * d + 2 * element * d; }
  std::uint64_t temporary() const { return 8 * d + element * (d + hidden); }
};

// `kv_heads`: of self-attention. C: the configuration of an architecture.
template <class C>
KeptBytes kept_bytes(const C& c, std::int64_t kv_heads, std::uint64_t element_bytes) {
  const auto count = [](std::int64_t n) { return static_cast<std::uint64_t>(n); };
  return {.d = count(c.d_model),
          .q = count(c.num_heads * c.resolved_head_dim()),
          .kv = count(kv_heads * c.resolved_head_dim()),
          .hidden = (c.ffn->gated ? 3 : 2) * count(c.resolved_d_ff().d_ff),
          .element = element_bytes};
}

}  // namespace sluice::model
