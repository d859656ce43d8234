#include "ops/attention_memory.h"

#include <algorithm>

namespace sluice::ops {
namespace {

// Bytes in fp32: queries (and y), keys (and values), scores of all pairs.
struct Fp32Sizes {
  std::uint64_t q, k, scores;
};

Fp32Sizes fp32_sizes(const CoreSizes& s) {
  return {4 * s.sequences * s.queries * s.heads * s.head_dim,
          4 * s.sequences * s.keys * s.kv_heads * s.head_dim,
          4 * s.sequences * s.heads * s.queries * s.keys};
}

std::uint64_t gradient_bytes(const CoreSizes& s) {
  return s.element * s.sequences * s.head_dim * (s.queries * s.heads + 2 * s.keys * s.kv_heads);
}

std::uint64_t whole_tiles(std::uint64_t n) { return (n + 63) / 64 * 64; }

// Products copy operands that are views of packed tensors; bf16 operands are converted before.
CoreMemory plain_memory(const CoreSizes& s, std::uint64_t kept) {
  const Fp32Sizes n = fp32_sizes(s);
  const std::uint64_t converted = s.element == 4 ? 0 : 1;
  return {.kept = kept,
          .forward = n.scores + std::max(n.scores, (1 + converted) * (n.q + n.k)),
          .backward =
              2 * n.scores + (1 + 2 * converted) * n.q + (1 + converted) * n.k + gradient_bytes(s)};
}

}  // namespace

CoreMemory core_memory(CoreKind kind, const CoreSizes& s) {
  const std::uint64_t rows = 4 * s.sequences * s.heads * s.queries;  // an fp32 value of each row
  const Fp32Sizes n = fp32_sizes(s);
  const std::uint64_t repeated =
      s.heads == s.kv_heads ? 0 : 2 * s.element * s.sequences * s.keys * s.heads * s.head_dim;
  switch (kind) {
    // In backward: a row statistic and the scores of all pairs in bf16, in tiles of 64 rows and
    // columns; the gradients are written to their places.
    case CoreKind::kCudnn:
      return {.kept = rows,
              .backward =
                  rows + 2 * s.sequences * s.heads * whole_tiles(s.queries) * whole_tiles(s.keys)};
    // In backward: a row statistic, fp32 dq, and the gradients of each query head's k and v.
    case CoreKind::kFlash:
      return {.kept = rows, .backward = rows + n.q + gradient_bytes(s) + repeated};
    // Repeats k and v for each query head.
    case CoreKind::kEfficient:
      return {.kept = rows,
              .forward = repeated,
              .backward = rows + n.q + gradient_bytes(s) + 2 * repeated};
    default:
      return plain_memory(s, rows);
  }
}

CoreMemory dropout_memory(const CoreSizes& s) {
  const std::uint64_t rows = 4 * s.sequences * s.heads * s.queries;
  CoreMemory memory = plain_memory(s, rows);
  memory.backward += rows;  // dy · y of each row
  return memory;
}

}  // namespace sluice::ops
