// Attention with a bias per head and distance: the mask from the bias, and the bias gradient for
// any head_dim and element type. ops/bias_gradient.cu is the fast form of the latter.
//
// Scores of queries t and keys s: distance r = s − t + queries − 1.
//
// settings.h: Element; heads, head_dim, width; group (query heads per key head); q_row, k_row
// (elements between two positions of q, of k and v); causal.
#include "gpu/kernel.h"
#include "settings.h"

using namespace sluice::gpu;

namespace {
constexpr float kLog2e = 1.4426950408889634f;

inline float dot(const Element* a, const Element* b) {
  float sum = 0;
  for (int d = 0; d < head_dim; d += width) {
    const Values<width> x = load<width>(a + d), y = load<width>(b + d);
#pragma unroll
    for (int j = 0; j < width; ++j) sum += x.v[j] * y.v[j];
  }
  return sum;
}
}  // namespace

// mask[h][t][s] = bias[h][s − t + queries − 1], with rows of `mask_row` elements, a multiple of 8;
// zeros after the last key. One thread per 8 elements.
KERNEL(expand_bias, 256, const float* bias, Element* mask, i64 queries, i64 keys, i64 mask_row) {
  const i64 item = i64(block_x()) * 256 + thread(), groups = mask_row / 8;
  const i64 row = item / groups, s = item % groups * 8, t = row % queries, h = row / queries;
  if (h >= heads) return;
  bias += h * (queries + keys - 1) + queries - 1 - t;
  Values<8> a;
#pragma unroll
  for (int j = 0; j < 8; ++j) a.v[j] = s + j < keys ? bias[s + j] : 0.0f;
  store(mask + row * mask_row + s, a);
}

// delta[b][h][t] = the sum of y dy over a head; y and dy are [rows, heads, head_dim]. Eight lanes
// per head.
KERNEL(row_products, 256, const Element* y, const Element* dy, float* delta, i64 rows,
       i64 queries) {
  const i64 item = i64(block_x()) * 32 + thread() / 8;
  const bool inside = item < rows * heads;
  float sum = 0;
  for (int d = thread() % 8 * width; inside && d < head_dim; d += 8 * width) {
    const Values<width> a = load<width>(y + item * head_dim + d),
                        b = load<width>(dy + item * head_dim + d);
#pragma unroll
    for (int j = 0; j < width; ++j) sum += a.v[j] * b.v[j];
  }
  for (int k = 4; k > 0; k /= 2) sum += shuffle_xor(sum, k);
  const i64 row = item / heads, h = item % heads;
  if (inside && thread() % 8 == 0)
    delta[(row / queries * heads + h) * queries + row % queries] = sum;
}

// dbias[h][r] = the sum over all pairs at distance r of P (dy·v − delta), where P = exp(scale q·k +
// mask − log_sum_exp). One block per distance and head.
KERNEL(distance_gradient, 128, const Element* q, const Element* k, const Element* v,
       const Element* dy, const Element* mask, const float* log_sum_exp, const float* delta,
       float* dbias, i64 batch, i64 queries, i64 keys, i64 log_sum_exp_row, i64 mask_row,
       float scale) {
  const i64 r = block_x(), h = block_y(), shift = r - (queries - 1);
  const i64 begin = max(i64(0), -shift), end = min(queries, keys - shift),
            pairs = causal && shift > 0 ? 0 : end - begin;
  float sum = 0;
  for (i64 item = thread(); item < batch * pairs; item += 128) {
    const i64 b = item / pairs, t = begin + item % pairs, s = t + shift;
    const i64 key = (b * keys + s) * k_row + h / group * head_dim, row = b * heads + h;
    const float score = scale * dot(q + (b * queries + t) * q_row + h * head_dim, k + key) +
                        load(mask + (h * queries + t) * mask_row + s);
    const float p = power_of_two((score - log_sum_exp[row * log_sum_exp_row + t]) * kLog2e);
    sum += p * (dot(dy + ((b * queries + t) * heads + h) * head_dim, v + key) -
                delta[row * queries + t]);
  }
  sum = block_sum<128>(sum);
  if (thread() == 0) dbias[h * (queries + keys - 1) + r] = sum;
}
