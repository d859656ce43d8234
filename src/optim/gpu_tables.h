// What the host and the kernels for GPUs share: sizes of the work of a block, and rows of tables in
// device memory. Part of the kernel texts, so it includes nothing. All integers are 64 bits.
#pragma once

namespace sluice::optim {

constexpr int kGpuThreads = 256;          // per block
constexpr int kGpuPrepareThreads = 1024;  // of the one block that decides about an update

// Work of a block: elements of a flat piece, or rows and columns of a tile of a factored matrix.
constexpr int kGpuPiece = 8192;
constexpr int kTileRows = 64, kTileColumns = 128;
// Rows or columns whose means a block of Adafactor updates.
constexpr int kGpuLines = 32;

// --- AdamW ---------------------------------------------------------------------------------------

struct AdamWConstants {
  double clip_norm, max_norm, beta1, beta2, eps, weight_decay;
  double scale_by_rms;  // 0 or 1
};

// A range of the arena within one segment.
struct AdamWGpuPiece {
  long long begin, end, segment, decay;
};

struct AdamWGpuSegment {
  long long num_elements, first_piece, num_pieces;
};

// Of one update. If `applied` is 0, the others are not valid.
struct AdamWGpuCoefficients {
  double step_size;  // lr / (1 − β1ⁿ)
  float clip, keep, beta1, beta2, one_minus_beta1, one_minus_beta2, root_scale, eps;
  long long applied;
};

// --- Adafactor -----------------------------------------------------------------------------------

struct AdafactorConstants {
  double clip_norm, max_norm, decay_rate, clip_update, eps, min_scale;
};

// A logical parameter. `row` and `column` are positions of its statistics; an unfactored parameter
// counts as one row, and its statistic begins at `row`. Tiles of rows (of columns) have a sum of
// squares for each column (row), from `column_sums` (`row_sums`) on.
struct AdafactorGpuPart {
  long long factored, offset, rows, columns;
  long long row, column, row_sums, column_sums;
  long long first_tile, num_tiles, first_lines, num_row_lines;
};

// Where a tile begins. Of an unfactored parameter: a piece of kGpuPiece columns.
struct AdafactorGpuTile {
  long long part, row, column;
};

// kGpuLines rows or columns of a factored matrix.
struct AdafactorGpuLines {
  long long part, first, of_columns;
};

// Of one update. If `applied` is 0, the others are not valid.
struct AdafactorGpuCoefficients {
  double lr, clip, one_minus_beta;
  long long applied;
};

}  // namespace sluice::optim
