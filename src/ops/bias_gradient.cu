// The gradient of a bias per head and distance, for bf16 and heads of 64 elements, on tensor cores:
//
//   dbias[h][r] = the sum over b, t and s with s − t + queries − 1 = r of P (dy·v − delta),
//   P = exp(scale q·k + mask − log_sum_exp).
//
// A block owns a tile of 64 queries × 64 keys of one head. It walks over the sequences with the sum
// over them in registers, and adds up the tile's diagonals at the end. sum_tiles adds the tiles.
// No atomics: the order of all sums is fixed.
//
// settings.h: queries, keys, heads; group (query heads per key head); parts (of the batch, one
// block each); q_row, k_row, dy_row (elements between two positions of q, of k and v, of dy; as
// run-time values they would take 50 registers); causal.
#include "gpu/kernel.h"
#include "settings.h"

using namespace sluice::gpu;

namespace {
constexpr int kTile = 64, kThreads = 128, kDiagonals = 2 * kTile - 1;
constexpr int kRowTiles = (queries + kTile - 1) / kTile, kColumnTiles = (keys + kTile - 1) / kTile,
              kTiles = kRowTiles * kColumnTiles;
constexpr int kTileBytes = kTile * 128;  // 64 rows of 64 elements
constexpr int kStageBytes = 4 * kTileBytes;
constexpr float kLog2e = 1.4426950408889634f;

// The place of 16 bytes of a tile. They are permuted within a row so that equal pieces of eight
// consecutive rows are in different banks.
inline SharedAddress piece(int row, int number) {
  return row * 128 + ((number ^ (row & 7)) << 4);
}

// Starts to copy rows first ... first + 63 of one head to a tile; zeros from `limit` on.
template <int limit, int stride>
inline void fetch(SharedAddress tile, const bf16* head, int first) {
  const int row = thread() / 8, number = thread() % 8;
  const bf16* from = head + i64(first + row) * stride + number * 8;
  tile += piece(row, number);
#pragma unroll
  for (int step = 0; step < kTile; step += kThreads / 8) {
    const bool valid = limit % kTile == 0 || first + row + step < limit;
    // Adding a multiple of 8 rows keeps the permutation.
    copy_16(tile + step * 128, valid ? from + i64(step) * stride : head, valid);
  }
}

// The mask of this thread's 32 pairs, packed; −inf if there is no such pair.
inline void load_mask(u32 (&mask)[8][2], const bf16* from, i64 mask_row, int t, int s) {
#pragma unroll
  for (int n = 0; n < 8; ++n)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      u32 packed = 0;
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        const int row = t + 8 * half, column = s + n * 8 + e;
        const bool pair = row < queries && column < keys && !(causal && column > row);
        packed |= (pair ? u32(from[i64(row) * mask_row + column].bits) : 0xff80u) << (16 * e);
      }
      mask[n][half] = packed;
    }
}

// Adds P (dy·v − delta) of half of the tile's columns, given the tile of one sequence. z: the
// queries' log-sum-exp · log2(e).
inline void add_half(float (&sum)[8][4], const u32 (&mask)[8][2], SharedAddress at, int half,
                     float scale, const float (&z)[2], const float (&d)[2]) {
  const SharedAddress at_dy = at + kTileBytes, at_k = at_dy + kTileBytes, at_v = at_k + kTileBytes;
  const int warp = thread() / 32, lane = thread() % 32;
  float score[4][4] = {}, dp[4][4] = {};
#pragma unroll
  for (int depth = 0; depth < 4; ++depth) {
    u32 a[4], c[4];
    const SharedAddress rows = piece(warp * 16 + (lane & 15), depth * 2 + (lane >> 4));
    load_matrices(a, at + rows);
    load_matrices(c, at_dy + rows);
#pragma unroll
    for (int pair = 0; pair < 2; ++pair) {
      u32 x[4], y[4];
      const SharedAddress columns =
          piece(half * 32 + pair * 16 + lane / 16 * 8 + lane % 8, depth * 2 + lane / 8 % 2);
      load_matrices(x, at_k + columns);
      load_matrices(y, at_v + columns);
      multiply_add(score[2 * pair], a, x[0], x[1]);
      multiply_add(score[2 * pair + 1], a, x[2], x[3]);
      multiply_add(dp[2 * pair], c, y[0], y[1]);
      multiply_add(dp[2 * pair + 1], c, y[2], y[3]);
    }
  }
#pragma unroll
  for (int n = 0; n < 4; ++n)
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      const u32 packed = mask[half * 4 + n][e / 2];
      const float shift = e % 2 ? high(packed) : low(packed);
      sum[half * 4 + n][e] +=
          power_of_two(score[n][e] * (scale * kLog2e) + (shift * kLog2e - z[e / 2])) *
          (dp[n][e] - d[e / 2]);
    }
}

// Sums along the diagonals of a tile: diagonal e has column − row = e − 63.
inline void write_diagonals(const float (&sum)[8][4], float* to) {
  float(*tile)[kTile + 1] = reinterpret_cast<float(*)[kTile + 1]>(dynamic_shared());
  const int warp = thread() / 32, lane = thread() % 32;
#pragma unroll
  for (int n = 0; n < 8; ++n)
#pragma unroll
    for (int e = 0; e < 4; ++e)
      tile[warp * 16 + lane / 4 + 8 * (e / 2)][n * 8 + lane % 4 * 2 + e % 2] = sum[n][e];
  sync();
  const int e = thread();
  if (e >= kDiagonals) return;
  float total = 0;
  for (int row = max(0, kTile - 1 - e); row < min(kTile, 2 * kTile - 1 - e); ++row)
    total += tile[row][row + e - (kTile - 1)];
  to[e] = total;
}
}  // namespace

// Grid: tiles, heads, parts; kStageBytes · 2 of dynamic_shared(). partial: [parts, heads, tiles,
// kDiagonals].
KERNEL(bias_gradient, 128, const bf16* q, const bf16* k, const bf16* v, const bf16* dy,
       const bf16* mask, const float* log_sum_exp, const float* delta, float* partial, i64 batch,
       i64 log_sum_exp_row, i64 mask_row, float scale) {
  const int t0 = block_x() / kColumnTiles * kTile, s0 = block_x() % kColumnTiles * kTile,
            h = block_y();
  partial += ((i64(block_z()) * heads + h) * kTiles + block_x()) * kDiagonals;
  if (causal && s0 > t0 + kTile - 1) {  // only future keys
    if (thread() < kDiagonals) partial[thread()] = 0;
    return;
  }
  const int t = t0 + thread() / 32 * 16 + thread() % 32 / 4;  // and t + 8
  const int per_part = (int(batch) + parts - 1) / parts, first = block_z() * per_part,
            end = min(int(batch), first + per_part);
  u32 masks[8][2];
  load_mask(masks, mask + i64(h) * queries * mask_row, mask_row, t, s0 + thread() % 4 * 2);
  q += h * 64;
  dy += h * 64;
  k += h / group * 64;
  v += h / group * 64;
  const SharedAddress base = shared_address(dynamic_shared());
  const auto start = [&](int b) {
    const SharedAddress at = base + (b - first) % 2 * kStageBytes;
    fetch<queries, q_row>(at, q + i64(b) * queries * q_row, t0);
    fetch<queries, dy_row>(at + kTileBytes, dy + i64(b) * queries * dy_row, t0);
    fetch<keys, k_row>(at + 2 * kTileBytes, k + i64(b) * keys * k_row, s0);
    fetch<keys, k_row>(at + 3 * kTileBytes, v + i64(b) * keys * k_row, s0);
    end_group_of_copies();
  };
  float sum[8][4] = {};
  if (first < end) start(first);
  for (int b = first; b < end; ++b) {
    if (b + 1 < end) {
      start(b + 1);
      wait_for_copies<1>();
    } else {
      wait_for_copies<0>();
    }
    float z[2], d[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const i64 row = i64(b) * heads + h;
      const bool valid = t + 8 * half < queries;
      z[half] = valid ? log_sum_exp[row * log_sum_exp_row + t + 8 * half] * kLog2e : 0.0f;
      d[half] = valid ? delta[row * queries + t + 8 * half] : 0.0f;
    }
    sync();
#pragma unroll
    for (int half = 0; half < 2; ++half)  // one after the other, to save registers
      add_half(sum, masks, base + (b - first) % 2 * kStageBytes, half, scale, z, d);
    sync();
  }
  write_diagonals(sum, partial);
}

// dbias[h][r] from the tiles' sums. Grid: 128 distances per block, heads.
KERNEL(sum_tiles, 128, const float* partial, float* dbias) {
  const int r = block_x() * 128 + thread(), h = block_y();
  if (r >= queries + keys - 1) return;
  float total = 0;
  for (int part = 0; part < parts; ++part)
    for (int tile = 0; tile < kTiles; ++tile) {
      const int e = r - (queries - 1) - tile % kColumnTiles * kTile + tile / kColumnTiles * kTile +
                    kTile - 1;
      if (e >= 0 && e < kDiagonals)
        total += partial[((i64(part) * heads + h) * kTiles + tile) * kDiagonals + e];
    }
  dbias[h * (queries + keys - 1) + r] = total;
}
