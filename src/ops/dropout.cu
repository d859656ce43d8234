// Dropout with the masks of ops/dropout.h, from the counter-based generator of base/random.h. A
// thread computes one Philox block: 4 elements, 16 apart, of a group of 64.
//
// settings.h: Element.
#include "base/philox.h"
#include "gpu/kernel.h"
#include "settings.h"

using namespace sluice;
using namespace sluice::gpu;

namespace {

// One word absorbed by random_key(): see base/random.cpp.
inline u64 absorb(u64 key, u64 word, u64 position_and_kind) {
  const PhiloxBlock block = philox_block(key, word, position_and_kind);
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
  const PhiloxBlock block = philox_block(u64(keys[block_y()]), u64(item), 0);
  const i64 row = i64(block_y()) * elements;
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    const i64 at = first + 16 * k;
    if (at >= elements) continue;
    const float kept = i64(block.word[k]) >= threshold ? factor : 0.0f;
    store(y + row + at, load(x + row + at) * kept);
  }
}
