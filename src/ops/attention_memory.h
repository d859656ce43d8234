// Memory of the GPU form of attention, by core. Estimated from the tensors that the cores create;
// tests compare the cores that run on a CPU with the bytes that LibTorch allocates.
#pragma once

#include <cstdint>

#include "ops/attention_core.h"

namespace sluice::ops {

// Of one call.
struct CoreSizes {
  std::uint64_t sequences = 0, queries = 0, keys = 0;
  std::uint64_t heads = 0, kv_heads = 0, head_dim = 0;
  std::uint64_t element = 4;  // bytes of the dtype of q, k and v
};

// Bytes besides the packed tensors, their gradients and the result y.
struct CoreMemory {
  std::uint64_t kept = 0;      // for backward: log-sum-exp
  std::uint64_t forward = 0;   // temporaries
  std::uint64_t backward = 0;  // temporaries, with the gradients of q, k and v
};
CoreMemory core_memory(CoreKind kind, const CoreSizes& sizes);

// With dropout of the probabilities (ops/gpu_dropout_attention.h).
CoreMemory dropout_memory(const CoreSizes& sizes);

}  // namespace sluice::ops
