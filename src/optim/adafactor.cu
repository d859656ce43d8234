// Adafactor over the arena (optim/adafactor.h), in the order of the launches: measure, prepare,
// statistics, squares, steps, step. Blocks of measure, squares and step process one tile: 8 warps
// with 8 rows each, 4 columns per thread; or a flat piece of an unfactored parameter.
#include "gpu/kernel.h"
#include "optim/gpu_loops.h"
#include "optim/gpu_tables.h"
#include "optim/update_guard_gpu.h"

using namespace sluice::gpu;
using namespace sluice::optim;

namespace {

constexpr int kWarps = kGpuThreads / 32;

// The part of a tile that belongs to a thread: rows first_row + k·kWarps and up to 4 columns.
struct Place {
  i64 at, stride;  // position of row 0 of the tile in the arena, distance of its rows
  int rows, columns;
  int column, valid;  // of this thread, in the tile
  bool aligned;       // loads of 4 columns are aligned, and valid is 0 or 4
};

inline Place place_of(const AdafactorGpuPart& part, const AdafactorGpuTile& tile) {
  Place p;
  p.rows = int(min(i64(kTileRows), part.rows - tile.row));
  p.columns = int(min(i64(kTileColumns), part.columns - tile.column));
  p.column = 4 * (thread() % 32);
  p.valid = max(0, min(4, p.columns - p.column));
  p.stride = part.columns;
  p.at = part.offset + tile.row * part.columns + tile.column + p.column;
  p.aligned = part.offset % 4 == 0 && part.columns % 4 == 0;
  return p;
}

template <bool aligned>
inline Values<4> load_columns(const float* p, int valid) {
  if constexpr (aligned) {
    return load<4>(p);
  } else {
    Values<4> a = {};
#pragma unroll
    for (int j = 0; j < 4; ++j)
      if (j < valid) a.v[j] = p[j];
    return a;
  }
}
template <bool aligned, class Element>
inline void store_columns(Element* p, int valid, const Values<4>& a) {
  if constexpr (aligned) {
    store(p, a);
  } else {
#pragma unroll
    for (int j = 0; j < 4; ++j)
      if (j < valid) store(p + j, a.v[j]);
  }
}

struct Yes {
  static constexpr bool value = true;
};
struct No {
  static constexpr bool value = false;
};

// Calls body(aligned, row) for the rows of a thread that has columns.
template <class Body>
inline void for_rows(const Place& p, const Body& body) {
  if (p.valid == 0) return;
  const int first = thread() / 32;
  if (p.aligned) {
#pragma unroll 4
    for (int row = first; row < p.rows; row += kWarps) body(Yes(), row);
  } else {
    for (int row = first; row < p.rows; row += kWarps) body(No(), row);
  }
}

// Range of an unfactored part that belongs to a block.
struct Range {
  i64 begin, end;  // relative to the part
  bool aligned;
};
inline Range range_of(const AdafactorGpuPart& part, const AdafactorGpuTile& tile) {
  return {tile.column, min(tile.column + kGpuPiece, part.columns),
          part.offset % 4 == 0 && part.row % 4 == 0};
}

// The sums of a tile for measure. `own`: the sum over the columns of a thread, of each row.
inline void write_row_sums(const AdafactorGpuPart& part, const AdafactorGpuTile& tile,
                           const Place& p, const double* own, double* row_sums) {
  // Four threads per row.
  const int row = thread() / 4, quarter = thread() % 4;
  double sum = 0;
  for (int k = 0; k < 8; ++k) sum += own[row * 33 + quarter * 8 + k];
  sum += shuffle_xor(sum, 1);
  sum += shuffle_xor(sum, 2);
  if (quarter == 0 && row < p.rows)
    row_sums[part.row_sums + tile.column / kTileColumns * part.rows + tile.row + row] = sum;
}
inline void write_column_sums(const AdafactorGpuPart& part, const AdafactorGpuTile& tile,
                              const Place& p, const double* own, double* column_sums) {
  if (thread() >= p.columns) return;
  double sum = 0;
  for (int warp = 0; warp < kWarps; ++warp) sum += own[warp * kTileColumns + thread()];
  column_sums[part.column_sums + tile.row / kTileRows * part.columns + tile.column + thread()] =
      sum;
}

// Factors of the rows and columns of a tile: the unscaled update is g·row·column. The columns
// include the clipping by the global norm.
struct Factors {
  const float *row, *column;
};
inline Factors factors_of(const AdafactorGpuPart& part, const AdafactorGpuTile& tile,
                          const Place& p, const AdafactorGpuCoefficients& c,
                          const float* statistics, const double* row_totals) {
  SHARED float rows[kTileRows], columns[kTileColumns];
  double total = 0;
  for (i64 i = thread(); i < part.num_row_lines; i += kGpuThreads)
    total += row_totals[part.first_lines + i];
  const double mean = block_sum<kGpuThreads>(total) / double(part.rows);
  const int t = thread(), j = t - kTileRows;
  if (t < p.rows) rows[t] = float(sqrt(mean / double(statistics[part.row + tile.row + t])));
  if (j >= 0 && j < p.columns)
    columns[j] = float(c.clip / sqrt(double(statistics[part.column + tile.column + j])));
  sync();
  return {rows, columns};
}

// The factors of the columns of a thread.
inline Values<4> own_columns(const Place& p, const Factors& factors) {
  Values<4> a = {};
#pragma unroll
  for (int j = 0; j < 4; ++j)
    if (j < p.valid) a.v[j] = factors.column[p.column + j];
  return a;
}

}  // namespace

// Sums of the squares of each tile, and of its rows and columns. Changes no weight or state.
KERNEL(measure, 256, const AdafactorGpuPart* parts, const AdafactorGpuTile* tiles,
       const float* gradient, const float* weight, double* gradient_squares,
       double* weight_squares, double* row_sums, double* column_sums) {
  SHARED double own[kTileRows * 33];
  const AdafactorGpuTile tile = tiles[block_x()];
  const AdafactorGpuPart part = parts[tile.part];
  double g = 0, w = 0;
  if (!part.factored) {
    const Range range = range_of(part, tile);
    for_elements(range.begin, range.end, part.offset % 4 == 0, [&](auto width, i64 i) {
      g += sum_of_squares<decltype(width)::value>(gradient + part.offset + i);
      w += sum_of_squares<decltype(width)::value>(weight + part.offset + i);
    });
  } else {
    const Place p = place_of(part, tile);
    const int lane = thread() % 32;
    double columns[4] = {};
    if (p.valid == 0 || p.rows < kTileRows)
      for (int row = thread() / 32; row < kTileRows; row += kWarps) own[row * 33 + lane] = 0;
    for_rows(p, [&](auto aligned, int row) {
      constexpr bool kAligned = decltype(aligned)::value;
      const i64 at = p.at + row * p.stride;
      const Values<4> a = load_columns<kAligned>(gradient + at, p.valid),
                      b = load_columns<kAligned>(weight + at, p.valid);
      double sum = 0;
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const double square = double(a.v[j]) * double(a.v[j]);
        columns[j] += square;
        sum += square;
        w += double(b.v[j]) * double(b.v[j]);
      }
      own[row * 33 + lane] = sum;
      g += sum;
    });
    sync();
    write_row_sums(part, tile, p, own, row_sums);
    sync();
    for (int j = 0; j < 4; ++j) own[thread() / 32 * kTileColumns + p.column + j] = columns[j];
    sync();
    write_column_sums(part, tile, p, own, column_sums);
  }
  g = block_sum<kGpuThreads>(g);
  w = block_sum<kGpuThreads>(w);
  if (thread() != 0) return;
  gradient_squares[block_x()] = g;
  weight_squares[block_x()] = w;
}

// One block: norm, guard and coefficients. Counts the update if it is applied.
KERNEL(prepare, 1024, const AdafactorConstants* constants, const double* gradient_squares,
       i64 num_tiles, const double* lr, const double* loss, const double* loss_limit,
       const double* norm_limit, double* num_updates, double* grad_norm, bool* applied,
       AdafactorGpuCoefficients* out) {
  const AdafactorConstants c = *constants;
  const Guard guard = guard_of<kGpuPrepareThreads>({loss, loss_limit, norm_limit},
                                                   gradient_squares, num_tiles, c.clip_norm,
                                                   c.max_norm);
  if (thread() != 0) return;
  out->applied = begin_update(guard, grad_norm, applied, num_updates);
  if (!out->applied) return;
  out->lr = *lr;
  out->clip = guard.clip;
  out->one_minus_beta = pow(*num_updates, -c.decay_rate);
}

// Row and column means of factored matrices: one thread per line and warp, which sums every 8th
// tile. row_totals: the sums of the row means, one per block.
KERNEL(statistics, 256, const AdafactorGpuPart* parts, const AdafactorGpuLines* all_lines,
       const AdafactorGpuCoefficients* coefficients, const AdafactorConstants* constants,
       const double* row_sums, const double* column_sums, float* state, double* row_totals) {
  SHARED double sums[kGpuThreads];
  const AdafactorGpuCoefficients c = *coefficients;
  if (!c.applied) return;
  const AdafactorGpuLines lines = all_lines[block_x()];
  const AdafactorGpuPart part = parts[lines.part];
  const i64 count = lines.of_columns ? part.columns : part.rows,
            length = lines.of_columns ? part.rows : part.columns,
            tile_length = lines.of_columns ? kTileRows : kTileColumns;
  const double* tiles =
      lines.of_columns ? column_sums + part.column_sums : row_sums + part.row_sums;
  const i64 line = lines.first + thread() % 32;
  double sum = 0;
  if (line < count)
    for (i64 tile = thread() / 32; tile * tile_length < length; tile += kWarps)
      sum += tiles[tile * count + line];
  sums[thread()] = sum;
  sync();
  if (thread() >= 32) return;
  double total = 0, mean = 0;
  for (int warp = 0; warp < kWarps; ++warp) total += sums[warp * 32 + thread()];
  if (line < count) {
    float* statistic = state + (lines.of_columns ? part.column : part.row) + line;
    const double now = c.clip * c.clip * total / double(length) + constants->eps;
    *statistic = float((1 - c.one_minus_beta) * double(*statistic) + c.one_minus_beta * now);
    mean = double(*statistic);
  }
  mean = warp_sum(mean);
  if (thread() == 0) row_totals[block_x()] = mean;
}

// Sums of the squares of the update of each tile; updates the statistics of unfactored parameters.
KERNEL(squares, 256, const AdafactorGpuPart* parts, const AdafactorGpuTile* tiles,
       const AdafactorGpuCoefficients* coefficients, const AdafactorConstants* constants,
       const float* gradient, float* state, const double* row_totals, double* update_squares) {
  const AdafactorGpuCoefficients c = *coefficients;
  if (!c.applied) return;
  const AdafactorGpuTile tile = tiles[block_x()];
  const AdafactorGpuPart part = parts[tile.part];
  if (part.factored && constants->clip_update == 0) return;
  double sum = 0;
  if (part.factored) {
    const Place p = place_of(part, tile);
    const Factors factors = factors_of(part, tile, p, c, state, row_totals);
    const Values<4> columns = own_columns(p, factors);
    for_rows(p, [&](auto aligned, int row) {
      const Values<4> g = load_columns<decltype(aligned)::value>(
          gradient + p.at + row * p.stride, p.valid);
      double squares = 0;
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const double u = double(g.v[j] * columns.v[j]);
        squares += u * u;
      }
      const double factor = double(factors.row[row]);
      sum += squares * (factor * factor);
    });
  } else {
    const float clip = float(c.clip), beta = float(1 - c.one_minus_beta),
                one_minus_beta = float(c.one_minus_beta), eps = float(constants->eps);
    const Range range = range_of(part, tile);
    for_elements(range.begin, range.end, range.aligned, [&](auto width, i64 i) {
      constexpr int kWidth = decltype(width)::value;
      const Values<kWidth> gradients = load<kWidth>(gradient + part.offset + i);
      Values<kWidth> v = load<kWidth>(state + part.row + i);
#pragma unroll
      for (int j = 0; j < kWidth; ++j) {
        const float g = gradients.v[j] * clip;
        v.v[j] = beta * v.v[j] + one_minus_beta * (g * g + eps);
        const double u = double(g / sqrtf(v.v[j]));
        sum += u * u;
      }
      store(state + part.row + i, v);
    });
  }
  sum = block_sum<kGpuThreads>(sum);
  if (thread() == 0) update_squares[block_x()] = sum;
}

// The factor of the update of each parameter, one block per parameter.
KERNEL(steps, 256, const AdafactorGpuPart* parts, const AdafactorGpuCoefficients* coefficients,
       const AdafactorConstants* constants, const double* weight_squares,
       const double* update_squares, float* steps_out) {
  const AdafactorGpuCoefficients c = *coefficients;
  if (!c.applied) return;
  const AdafactorGpuPart part = parts[block_x()];
  const bool clips = constants->clip_update > 0;
  double weights = 0, updates = 0;
  for (i64 i = part.first_tile + thread(); i < part.first_tile + part.num_tiles;
       i += kGpuThreads) {
    weights += weight_squares[i];
    if (clips) updates += update_squares[i];
  }
  weights = block_sum<kGpuThreads>(weights);
  updates = block_sum<kGpuThreads>(updates);
  if (thread() != 0) return;
  const double count = double(part.rows * part.columns);
  const double excess = clips ? max(1.0, sqrt(updates / count) / constants->clip_update) : 1.0;
  const double step = c.lr * max(constants->min_scale, sqrt(weights / count)) / excess;
  steps_out[block_x()] = float(part.factored ? step : step * c.clip);
}

namespace {

struct Arena {
  float *weight, *gradient;
  bf16* compute;  // null in fp32
};

inline void step_of_tile(const Arena& arena, const Place& p, const Factors& factors, float step) {
  const Values<4> columns = own_columns(p, factors);
  for_rows(p, [&](auto aligned, int row) {
    constexpr bool kAligned = decltype(aligned)::value;
    const i64 at = p.at + row * p.stride;
    const float factor = step * factors.row[row];
    const Values<4> g = load_columns<kAligned>(arena.gradient + at, p.valid);
    Values<4> w = load_columns<kAligned>(arena.weight + at, p.valid);
#pragma unroll
    for (int j = 0; j < 4; ++j) w.v[j] -= factor * (g.v[j] * columns.v[j]);
    store_columns<kAligned>(arena.weight + at, p.valid, w);
    if (arena.compute != nullptr) store_columns<kAligned>(arena.compute + at, p.valid, w);
    store_columns<kAligned>(arena.gradient + at, p.valid, Values<4>{});
  });
}

inline void step_of_range(const Arena& arena, const AdafactorGpuPart& part, const Range& range,
                          const float* state, float step) {
  for_elements(range.begin, range.end, range.aligned, [&](auto width, i64 i) {
    constexpr int kWidth = decltype(width)::value;
    const i64 at = part.offset + i;
    const Values<kWidth> g = load<kWidth>(arena.gradient + at),
                         v = load<kWidth>(state + part.row + i);
    Values<kWidth> w = load<kWidth>(arena.weight + at);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) w.v[j] -= step * (g.v[j] / sqrtf(v.v[j]));
    store(arena.weight + at, w);
    if (arena.compute != nullptr) store(arena.compute + at, w);
    store(arena.gradient + at, Values<kWidth>{});
  });
}

}  // namespace

// Updates weights and compute copy if the update is applied. Clears the gradient always.
KERNEL(step, 256, const AdafactorGpuPart* parts, const AdafactorGpuTile* tiles,
       const AdafactorGpuCoefficients* coefficients, const float* state, const double* row_totals,
       const float* step_sizes, float* weight, float* gradient, bf16* compute) {
  const AdafactorGpuCoefficients c = *coefficients;
  const AdafactorGpuTile tile = tiles[block_x()];
  const AdafactorGpuPart part = parts[tile.part];
  const Arena arena{weight, gradient, compute};
  if (part.factored) {
    const Place p = place_of(part, tile);
    if (c.applied)
      return step_of_tile(arena, p, factors_of(part, tile, p, c, state, row_totals),
                          step_sizes[tile.part]);
    for_rows(p, [&](auto aligned, int row) {
      store_columns<decltype(aligned)::value>(gradient + p.at + row * p.stride, p.valid,
                                              Values<4>{});
    });
  } else {
    const Range range = range_of(part, tile);
    if (c.applied) return step_of_range(arena, part, range, state, step_sizes[tile.part]);
    for_elements(range.begin, range.end, range.aligned, [&](auto width, i64 i) {
      store(gradient + part.offset + i, Values<decltype(width)::value>{});
    });
  }
}
