// Norms over rows of `columns` elements, with the addition to the residual stream before them
// (ops/norm.h): y = (x − mean) r scale + bias, r = 1/sqrt(mean((x − mean)²) + eps); mean and bias
// are 0 for rms_norm. `row_threads` threads hold a row in registers.
//
// settings.h: Element (of y and dy), Update; columns, width, row_threads (32 or 256),
// centered, has_bias; eps.
#include "gpu/kernel.h"
#include "settings.h"

using namespace sluice::gpu;

namespace {

constexpr int kThreads = 256;
constexpr int kRowsPerBlock = kThreads / row_threads;
constexpr int kGroups = columns / width;                           // of a row
constexpr int kParts = (kGroups + row_threads - 1) / row_threads;  // groups of a thread
using Group = Values<width>;

inline int lane() { return thread() % row_threads; }
inline int row_of_block() { return thread() / row_threads; }
// Column of part i of this thread, and whether the row has it.
inline int column(int i) { return (lane() + i * row_threads) * width; }
inline bool inside(int i) {
  return kGroups % row_threads == 0 || lane() + i * row_threads < kGroups;
}

inline float row_sum(float x) {
  if constexpr (row_threads == 32)
    return warp_sum(x);
  else
    return block_sum<kThreads>(x);
}

struct Row {
  Group part[kParts];
};

template <class T>
inline Row load_row(const T* p) {
  Row row;
#pragma unroll
  for (int i = 0; i < kParts; ++i) {
    if (inside(i)) {
      row.part[i] = load<width>(p + column(i));
    } else {
      for (int j = 0; j < width; ++j) row.part[i].v[j] = 0;
    }
  }
  return row;
}

// y and statistics (mean, r) of the row held in x.
inline void finish(Row& x, const float* scale, const float* bias, Element* y, float* statistics) {
  float mean = 0, square = 0;
  if constexpr (centered) {
#pragma unroll
    for (int i = 0; i < kParts; ++i)
#pragma unroll
      for (int j = 0; j < width; ++j) mean += x.part[i].v[j];
    mean = row_sum(mean) * (1.0f / columns);
  }
#pragma unroll
  for (int i = 0; i < kParts; ++i)
    if (inside(i)) {
#pragma unroll
      for (int j = 0; j < width; ++j) {
        x.part[i].v[j] -= mean;
        square += x.part[i].v[j] * x.part[i].v[j];
      }
    }
  const float r = 1.0f / sqrtf(row_sum(square) * (1.0f / columns) + eps);
  if (lane() == 0) {
    statistics[0] = mean;
    statistics[1] = r;
  }
#pragma unroll
  for (int i = 0; i < kParts; ++i) {
    if (!inside(i)) continue;
    const Group w = load<width>(scale + column(i));
    Group b;
    if constexpr (has_bias) b = load<width>(bias + column(i));
#pragma unroll
    for (int j = 0; j < width; ++j) {
      x.part[i].v[j] *= r * w.v[j];
      if constexpr (has_bias) x.part[i].v[j] += b.v[j];
    }
    store(y + column(i), x.part[i]);
  }
}

// Sums over the rows of a block, one per column: `own` of this thread -> to[columns].
inline void sum_of_rows(const Row& own, float* to) {
  if constexpr (kRowsPerBlock == 1) {
#pragma unroll
    for (int i = 0; i < kParts; ++i)
      if (inside(i)) store(to + column(i), own.part[i]);
  } else {
    SHARED float sums[kRowsPerBlock][columns];
    sync();  // an earlier call may still be reading
#pragma unroll
    for (int i = 0; i < kParts; ++i)
      if (inside(i))
        for (int j = 0; j < width; ++j) sums[row_of_block()][column(i) + j] = own.part[i].v[j];
    sync();
    for (int c = thread(); c < columns; c += kThreads) {
      float sum = 0;
      for (int k = 0; k < kRowsPerBlock; ++k) sum += sums[k][c];
      to[c] = sum;
    }
  }
}

}  // namespace

// statistics: [rows, 2].
KERNEL(norm_forward, 256, const float* x, const float* scale, const float* bias, Element* y,
       float* statistics, i64 rows) {
  const i64 row = i64(block_x()) * kRowsPerBlock + row_of_block();
  if (row >= rows) return;
  Row a = load_row(x + row * columns);
  finish(a, scale, bias, y + row * columns, statistics + 2 * row);
}

// sum = x + update; y = norm(sum).
KERNEL(add_norm, 256, const float* x, const Update* update, const float* scale, const float* bias,
       float* sum, Element* y, float* statistics, i64 rows) {
  const i64 row = i64(block_x()) * kRowsPerBlock + row_of_block();
  if (row >= rows) return;
  Row a = load_row(x + row * columns);
  const Row b = load_row(update + row * columns);
#pragma unroll
  for (int i = 0; i < kParts; ++i) {
#pragma unroll
    for (int j = 0; j < width; ++j) a.part[i].v[j] += b.part[i].v[j];
    if (inside(i)) store(sum + row * columns + column(i), a.part[i]);
  }
  finish(a, scale, bias, y + row * columns, statistics + 2 * row);
}

// dx = norm'(dy) + dsum (null: 0), and dupdate, its copy as Update (null: none). Blocks take rows
// in a fixed stride; partial_scale and partial_bias [blocks, columns] receive their sums of
// dy (x − mean) r and of dy.
KERNEL(norm_backward, 256, const float* x, const float* statistics, const float* scale,
       const Element* dy, const float* dsum, float* dx, Update* dupdate, float* partial_scale,
       float* partial_bias, i64 rows) {
  Row dscale, dbias;
#pragma unroll
  for (int i = 0; i < kParts; ++i)
    for (int j = 0; j < width; ++j) dscale.part[i].v[j] = dbias.part[i].v[j] = 0;
  for (i64 row = i64(block_x()) * kRowsPerBlock + row_of_block(); row < rows;
       row += i64(blocks_x()) * kRowsPerBlock) {
    const i64 at = row * columns;
    Row n = load_row(x + at), g = load_row(dy + at);
    const float mean = statistics[2 * row], r = statistics[2 * row + 1];
    float sum_g = 0, sum_gn = 0;
#pragma unroll
    for (int i = 0; i < kParts; ++i) {
      if (!inside(i)) continue;
      const Group w = load<width>(scale + column(i));
#pragma unroll
      for (int j = 0; j < width; ++j) {
        n.part[i].v[j] = (n.part[i].v[j] - mean) * r;
        dscale.part[i].v[j] += g.part[i].v[j] * n.part[i].v[j];
        if constexpr (has_bias) dbias.part[i].v[j] += g.part[i].v[j];
        g.part[i].v[j] *= w.v[j];
        sum_g += g.part[i].v[j];
        sum_gn += g.part[i].v[j] * n.part[i].v[j];
      }
    }
    const float mean_gn = row_sum(sum_gn) * (1.0f / columns);
    const float mean_g = centered ? row_sum(sum_g) * (1.0f / columns) : 0.0f;
#pragma unroll
    for (int i = 0; i < kParts; ++i) {
      if (!inside(i)) continue;
      Group d;
#pragma unroll
      for (int j = 0; j < width; ++j)
        d.v[j] = r * (g.part[i].v[j] - mean_g - n.part[i].v[j] * mean_gn);
      if (dsum) {
        const Group above = load<width>(dsum + at + column(i));
#pragma unroll
        for (int j = 0; j < width; ++j) d.v[j] += above.v[j];
      }
      store(dx + at + column(i), d);
      if (dupdate) store(dupdate + at + column(i), d);
    }
  }
  sum_of_rows(dscale, partial_scale + i64(block_x()) * columns);
  if constexpr (has_bias) sum_of_rows(dbias, partial_bias + i64(block_x()) * columns);
}

// gradient[c] += sum over p of partial[p][c]. Blocks of 32 columns × 8 groups of rows.
KERNEL(add_partial_sums, 256, const float* partial, float* gradient, i64 num_partials) {
  SHARED float sums[8][32];
  const int c = block_x() * 32 + thread() % 32, group = thread() / 32;
  float sum = 0;
  if (c < columns)
    for (i64 p = group; p < num_partials; p += 8) sum += partial[p * columns + c];
  sums[group][thread() % 32] = sum;
  sync();
  if (group != 0 || c >= columns) return;
  float total = 0;
  for (int k = 0; k < 8; ++k) total += sums[k][thread()];
  gradient[c] += total;
}
