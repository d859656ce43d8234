// What forward keeps for backward, by sublayer. See the ops' save_for_backward.
#pragma once

#include <cstdint>

namespace sluice::model {

// Bytes per sequence.
struct ActivationMemory {
  std::uint64_t kept = 0;     // from the forward to the backward pass
  std::uint64_t passing = 0;  // the largest set of temporaries that lives at once in the backward pass of one block
};

// Bytes per token: the fp32 residual stream before each norm, and in the compute dtype what each product reads and what attention and
// the activation need.
struct KeptBytes {
  std::uint64_t d = 0, q = 0, kv = 0;  // columns
  std::uint64_t hidden = 0;            // columns of a feed-forward layer that are kept: both halves of a gated one, and their product
  std::uint64_t element = 4;           // bytes of the compute dtype

  std::uint64_t self_attention() const { return 4 * d + element * (d + 2 * (q + 2 * kv) + q); }
  std::uint64_t cross_attention() const { return 4 * d + element * (d + 2 * q + q); }  // per target token
  std::uint64_t cross_keys() const { return element * 2 * (2 * kv); }                  // per input token
  std::uint64_t ffn() const { return 4 * d + element * (d + hidden); }
  std::uint64_t ends() const { return 4 * d + 2 * element * d; }  // embedding output, final norm
  std::uint64_t passing() const { return 8 * d + element * (d + hidden); }
};

// `kv_heads`: of the self-attention. C: the configuration of an architecture.
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
