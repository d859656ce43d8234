// PolyNorm (formulas in ops/poly_norm_kernels.h). A block of 256 threads takes a row of `columns`
// elements. scalars: w₀ (of the third power), w₁, w₂, bias.
//
// settings.h: Function, Element; columns, width.
#include "gpu/kernel.h"
#include "ops/activation_functions.h"
#include "ops/scalar_sums.h"
#include "settings.h"

using namespace sluice::gpu;

namespace {
constexpr int kThreads = 256;
constexpr float kEps = 1e-6f;

struct Powers {
  float r1, r2, r3;
};
inline float reciprocal(float sum) {
  return 1.0f / sqrtf(block_sum<kThreads>(sum) * (1.0f / columns) + kEps);
}

template <class Body>
inline void for_columns(const Body& body) {
  for (int c = thread() * width; c < columns; c += kThreads * width) body(c);
}

inline Powers powers_of(const Element* row) {
  float sum1 = 0, sum2 = 0, sum3 = 0;
  for_columns([&](int c) {
    const Values<width> x = load<width>(row + c);
#pragma unroll
    for (int j = 0; j < width; ++j) {
      const float square = x.v[j] * x.v[j];
      sum1 += square;
      sum2 += square * square;
      sum3 += square * square * square;
    }
  });
  const float r1 = reciprocal(sum1), r2 = reciprocal(sum2), r3 = reciprocal(sum3);
  return {r1, r2, r3};
}

inline float value_of(const Powers& r, const float* w, float x) {
  return ((w[0] * r.r3 * x + w[1] * r.r2) * x + w[2] * r.r1) * x + w[3];
}
}  // namespace

KERNEL(plain, 256, const Element* x, Element* y, const float* scalars, i64 rows) {
  const Element* row = x + i64(block_x()) * columns;
  const Powers r = powers_of(row);
  for_columns([&](int c) {
    Values<width> a = load<width>(row + c);
#pragma unroll
    for (int j = 0; j < width; ++j) a.v[j] = value_of(r, scalars, a.v[j]);
    store(y + i64(block_x()) * columns + c, a);
  });
}

// Also computes the result y again, unless it is null.
KERNEL(plain_backward, 256, const Element* x, const Element* dy, Element* dx, Element* y,
       const float* scalars, float* partial, i64 rows) {
  const i64 at = i64(block_x()) * columns;
  const Powers r = powers_of(x + at);
  float own[4] = {0, 0, 0, 0};
  for_columns([&](int c) {
    const Values<width> a = load<width>(x + at + c), g = load<width>(dy + at + c);
#pragma unroll
    for (int j = 0; j < width; ++j) {
      const float v = a.v[j];
      own[0] += g.v[j] * v * v * v;
      own[1] += g.v[j] * v * v;
      own[2] += g.v[j] * v;
      own[3] += g.v[j];
    }
  });
  float sums[4];
  for (int k = 0; k < 4; ++k) sums[k] = block_sum<kThreads>(own[k]);
  sums[0] *= r.r3;
  sums[1] *= r.r2;
  sums[2] *= r.r1;
  if (thread() < 4) partial[i64(thread()) * blocks_x() + block_x()] = sums[thread()];
  const float scale = 1.0f / columns;
  const float c3 = scalars[0] * r.r3, c2 = scalars[1] * r.r2, c1 = scalars[2] * r.r1,
              m3 = sums[0] * scale * r.r3, m2 = sums[1] * scale * r.r2,
              m1 = sums[2] * scale * r.r1;
  for_columns([&](int c) {
    const Values<width> a = load<width>(x + at + c), g = load<width>(dy + at + c);
    Values<width> da, h;
#pragma unroll
    for (int j = 0; j < width; ++j) {
      const float v = a.v[j], square = v * v;
      da.v[j] = c1 * (g.v[j] - v * m1) + 2.0f * c2 * v * (g.v[j] - square * m2) +
                3.0f * c3 * square * (g.v[j] - square * v * m3);
      h.v[j] = value_of(r, scalars, v);
    }
    store(dx + at + c, da);
    if (y) store(y + at + c, h);
  });
}

KERNEL(add_scalar_gradients, 256, const float* partial, float* gradient, i64 num_partials) {
  add_block_sums(partial, gradient, num_partials);
}
