// AdamW over the arena (optim/adamw.h), in the order of the launches: squares, prepare, scales
// (with scale_by_rms), step. Blocks of `squares` and `step` process one piece.
#include "gpu/kernel.h"
#include "optim/gpu_loops.h"
#include "optim/gpu_tables.h"
#include "optim/update_guard_gpu.h"

using namespace sluice::gpu;
using namespace sluice::optim;

// Sums of the squares of each piece. weight_squares may be null.
KERNEL(squares, 256, const AdamWGpuPiece* pieces, const float* gradient, const float* weight,
       double* gradient_squares, double* weight_squares) {
  const AdamWGpuPiece piece = pieces[block_x()];
  double g = 0, w = 0;
  for_elements(piece.begin, piece.end, piece.begin % 4 == 0, [&](auto width, i64 i) {
    g += sum_of_squares<decltype(width)::value>(gradient + i);
    if (weight_squares != nullptr) w += sum_of_squares<decltype(width)::value>(weight + i);
  });
  g = block_sum<kGpuThreads>(g);
  if (thread() == 0) gradient_squares[block_x()] = g;
  if (weight_squares == nullptr) return;
  w = block_sum<kGpuThreads>(w);
  if (thread() == 0) weight_squares[block_x()] = w;
}

// One block: norm, guard and coefficients. Counts the update if it is applied.
KERNEL(prepare, 1024, const AdamWConstants* constants, const double* gradient_squares,
       i64 num_pieces, const double* lr, const double* loss, const double* loss_limit,
       const double* norm_limit, double* num_updates, double* grad_norm, bool* applied,
       AdamWGpuCoefficients* out) {
  const AdamWConstants c = *constants;
  const Guard guard = guard_of<kGpuPrepareThreads>({loss, loss_limit, norm_limit},
                                                   gradient_squares, num_pieces, c.clip_norm,
                                                   c.max_norm);
  if (thread() != 0) return;
  out->applied = begin_update(guard, grad_norm, applied, num_updates);
  if (!out->applied) return;
  const double n = *num_updates;
  const double root_scale = 1 / sqrt(1 - pow(c.beta2, n));
  out->step_size = *lr / (1 - pow(c.beta1, n));
  out->clip = float(guard.clip);
  out->keep = float(1 - *lr * c.weight_decay);
  out->beta1 = float(c.beta1);
  out->beta2 = float(c.beta2);
  out->one_minus_beta1 = float(1 - c.beta1);
  out->one_minus_beta2 = float(1 - c.beta2);
  out->root_scale = float(root_scale);
  out->eps = float(c.scale_by_rms != 0 ? c.eps * root_scale : c.eps);
}

// With scale_by_rms: the step size of each segment, one block per segment.
KERNEL(scales, 256, const AdamWGpuSegment* segments, const AdamWGpuCoefficients* coefficients,
       const double* weight_squares, float* step_sizes) {
  constexpr double kMinScale = 1e-3;
  const AdamWGpuSegment segment = segments[block_x()];
  double sum = 0;
  for (i64 i = thread(); i < segment.num_pieces; i += kGpuThreads)
    sum += weight_squares[segment.first_piece + i];
  sum = block_sum<kGpuThreads>(sum);
  if (thread() != 0 || !coefficients->applied) return;
  const double rms = sqrt(sum / double(segment.num_elements));
  step_sizes[block_x()] = float(coefficients->step_size * max(kMinScale, rms));
}

namespace {

struct Arena {
  float *weight, *gradient, *exp_avg, *exp_avg_sq;
  bf16* compute;  // null in fp32
};

template <int width>
inline void update(const Arena& arena, i64 i, const AdamWGpuCoefficients& c, float keep,
                   float step_size) {
  Values<width> w = load<width>(arena.weight + i), m = load<width>(arena.exp_avg + i),
                v = load<width>(arena.exp_avg_sq + i);
  const Values<width> gradient = load<width>(arena.gradient + i);
#pragma unroll
  for (int j = 0; j < width; ++j) {
    const float g = gradient.v[j] * c.clip;
    m.v[j] = c.beta1 * m.v[j] + c.one_minus_beta1 * g;
    v.v[j] = c.beta2 * v.v[j] + c.one_minus_beta2 * (g * g);
    w.v[j] = w.v[j] * keep - step_size * (m.v[j] / (sqrtf(v.v[j]) * c.root_scale + c.eps));
  }
  store(arena.weight + i, w);
  store(arena.exp_avg + i, m);
  store(arena.exp_avg_sq + i, v);
  if (arena.compute != nullptr) store(arena.compute + i, w);
}

}  // namespace

// Updates weights, compute copy and moments if the update is applied. Clears the gradient always.
// step_sizes: of each segment, with scale_by_rms; otherwise null.
KERNEL(step, 256, const AdamWGpuPiece* pieces, const AdamWGpuCoefficients* coefficients,
       const float* step_sizes, float* weight, float* gradient, float* exp_avg,
       float* exp_avg_sq, bf16* compute) {
  const AdamWGpuPiece piece = pieces[block_x()];
  const AdamWGpuCoefficients c = *coefficients;
  const Arena arena{weight, gradient, exp_avg, exp_avg_sq, compute};
  const float keep = piece.decay ? c.keep : 1.0f;
  const float step_size =
      step_sizes != nullptr ? step_sizes[piece.segment] : float(c.step_size);
  for_elements(piece.begin, piece.end, piece.begin % 4 == 0, [&](auto width, i64 i) {
    constexpr int kWidth = decltype(width)::value;
    if (c.applied) update<kWidth>(arena, i, c, keep, step_size);
    store(gradient + i, Values<kWidth>{});
  });
}
