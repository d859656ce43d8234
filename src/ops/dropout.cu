// Dropout with the masks of ops/dropout.h, from the counter-based generator of base/random.h. A
// thread computes one Philox block: 4 elements, 16 apart, of a group of 64.
//
// settings.h: Element.
#include "gpu/kernel.h"
#include "settings.h"

using namespace sluice::gpu;

namespace {

struct Block {
  u32 word[4];
};

inline Block philox(u64 key, u64 low, u64 high) {
  u32 k0 = u32(key), k1 = u32(key >> 32);
  u32 c0 = u32(low), c1 = u32(low >> 32), c2 = u32(high), c3 = u32(high >> 32);
#pragma unroll
  for (int round = 0; round < 10; ++round) {
    const u32 h0 = high_product(0xD2511F53u, c0), l0 = 0xD2511F53u * c0;
    const u32 h1 = high_product(0xCD9E8D57u, c2), l1 = 0xCD9E8D57u * c2;
    c0 = h1 ^ c1 ^ k0;
    c1 = l1;
    c2 = h0 ^ c3 ^ k1;
    c3 = l0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

// One word absorbed by random_key(): see base/random.cpp.
inline u64 absorb(u64 key, u64 word, u64 position_and_kind) {
  const Block block = philox(key, word, position_and_kind);
  return u64(block.word[1]) << 32 | block.word[0];
}

}  // namespace

// keys[b]: random_key(seed, "dropout", {step, first_sample + b, site}). `prefix` is the state of
// the key after seed and purpose, the first of 5 absorbed words; `step` is read from memory.
KERNEL(dropout_keys, 256, const i64* step, i64* keys, i64 prefix, i64 first_sample, i64 site,
       i64 rows) {
  const i64 b = i64(block_x()) * 256 + thread();
  if (b >= rows) return;
  constexpr u64 kCoordinate = 2, kEnd = 3, kPurposeLength = 7;
  u64 key = absorb(u64(prefix), u64(*step), 1 << 2 | kCoordinate);
  key = absorb(key, u64(first_sample + b), 2 << 2 | kCoordinate);
  key = absorb(key, u64(site), 3 << 2 | kCoordinate);
  keys[b] = i64(absorb(key, kPurposeLength, 4 << 2 | kEnd));
}

// Row block_y() of x [rows, elements]; y may be x. `threshold`: probability · 2^32, smaller words
// drop their element.
KERNEL(dropout, 256, const Element* x, Element* y, const i64* keys, i64 threshold, float factor,
       i64 elements) {
  const i64 item = i64(block_x()) * 256 + thread();
  const i64 first = item / 16 * 64 + item % 16;
  if (first >= elements) return;
  const Block block = philox(u64(keys[block_y()]), u64(item), 0);
  const i64 row = i64(block_y()) * elements;
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    const i64 at = first + 16 * k;
    if (at >= elements) continue;
    const float kept = i64(block.word[k]) >= threshold ? factor : 0.0f;
    store(y + row + at, load(x + row + at) * kept);
  }
}
