// Attention with dropout of the probabilities, around products that a library computes: from scores
// q·k of all pairs, the probabilities and their gradient. Masks are those of ops/dropout.h for
// elements [heads, queries, keys] of a sequence. One warp per row, the keys of one query.
//
// settings.h: Element (of the bias); heads; causal, has_bias.
#include "base/philox.h"
#include "gpu/kernel.h"
#include "settings.h"

using namespace sluice;
using namespace sluice::gpu;

namespace {

struct Row {
  i64 number, b, h, t;
  i64 keys, used;  // all keys; those that the query attends to
  const Element* bias;
};
inline Row own_row(i64 queries, i64 keys, const Element* bias, i64 bias_row) {
  const i64 number = i64(block_x()) * 8 + thread() / 32, t = number % queries,
            h = number / queries % heads;
  return {number, number / (queries * heads),         h, t, keys, causal ? t + 1 : keys,
          has_bias ? bias + (h * queries + t) * bias_row : bias};
}

inline float score_of(const Row& row, const float* products, i64 s, float scale) {
  const float score = scale * products[row.number * row.keys + s];
  return has_bias ? score + load(row.bias + s) : score;
}

inline float warp_max(float x) {
  for (int k = 16; k > 0; k /= 2) x = max(x, shuffle_xor(x, k));
  return x;
}

// Calls body(s, kept) for all keys of the row; kept: 0 or `factor`. A lane computes blocks of the
// generator, each for 4 elements, 16 apart, of a group of 64.
template <class Body>
inline void for_each_key(const Row& row, i64 queries, u64 key, i64 threshold, float factor,
                         const Body& body) {
  const i64 begin = (row.h * queries + row.t) * row.keys, end = begin + row.keys;
  for (i64 item = begin / 64 * 16 + thread() % 32; item / 16 * 64 < end; item += 32) {
    const PhiloxBlock block = philox_block(key, u64(item), 0);
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const i64 element = item / 16 * 64 + item % 16 + 16 * k;
      if (element < begin || element >= end) continue;
      body(element - begin, i64(block.word[k]) >= threshold ? factor : 0.0f);
    }
  }
}

}  // namespace

// Replaces the products q·k by probabilities with dropout.
KERNEL(probabilities, 256, float* products, const Element* bias, const i64* keys_of_rows,
       float* log_sum_exp, i64 rows, i64 queries, i64 keys, i64 bias_row, float scale,
       i64 threshold, float factor) {
  const Row row = own_row(queries, keys, bias, bias_row);
  if (row.number >= rows) return;
  float most = float_of(0xff800000u), sum = 0;  // −infinity
  for (i64 s = thread() % 32; s < row.used; s += 32)
    most = max(most, score_of(row, products, s, scale));
  most = warp_max(most);
  for (i64 s = thread() % 32; s < row.used; s += 32)
    sum += expf(score_of(row, products, s, scale) - most);
  const float total = most + logf(warp_sum(sum));
  if (thread() % 32 == 0) log_sum_exp[row.number] = total;
  for_each_key(row, queries, u64(keys_of_rows[row.b]), threshold, factor, [&](i64 s, float kept) {
    const float p = s < row.used ? expf(score_of(row, products, s, scale) - total) : 0.0f;
    products[row.number * keys + s] = p * kept;
  });
}

// Replaces the products q·k by probabilities P with dropout, and dy·v by the gradient of scores
// with bias: P₀ (kept dy·v − delta), where P₀ are the probabilities before dropout.
KERNEL(score_gradient, 256, float* products, float* dp, const Element* bias,
       const i64* keys_of_rows, const float* log_sum_exp, const float* delta, i64 rows,
       i64 queries, i64 keys, i64 bias_row, float scale, i64 threshold, float factor) {
  const Row row = own_row(queries, keys, bias, bias_row);
  if (row.number >= rows) return;
  const float total = log_sum_exp[row.number], correction = delta[row.number];
  for_each_key(row, queries, u64(keys_of_rows[row.b]), threshold, factor, [&](i64 s, float kept) {
    const i64 at = row.number * keys + s;
    const float p = s < row.used ? expf(score_of(row, products, s, scale) - total) : 0.0f;
    products[at] = p * kept;
    dp[at] = p * (kept * dp[at] - correction);
  });
}

// dbias[h][r] = the sum over sequences and pairs at distance r = s − t + queries − 1 of dscores
// [batch, heads, queries, keys]. One block per distance and head.
KERNEL(sum_distances, 128, const float* dscores, float* dbias, i64 batch, i64 queries, i64 keys) {
  const i64 r = block_x(), h = block_y(), shift = r - (queries - 1);
  const i64 begin = max(i64(0), -shift), pairs = min(queries, keys - shift) - begin;
  float sum = 0;
  for (i64 item = thread(); item < batch * pairs; item += 128) {
    const i64 b = item / pairs, t = begin + item % pairs;
    sum += dscores[((b * heads + h) * queries + t) * keys + t + shift];
  }
  sum = block_sum<128>(sum);
  if (thread() == 0) dbias[h * (queries + keys - 1) + r] = sum;
}
