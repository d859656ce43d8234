// Activations of feed-forward layers. x has rows of `columns` elements, or of 2 · columns if gated:
// a and b packed (ops/glu.h). One thread per `width` columns. `scalars` and `partial` are null for
// a function without learned scalars.
//
// settings.h: Function, Element; columns, width.
#include "gpu/kernel.h"
#include "ops/activation_functions.h"
#include "ops/scalar_sums.h"
#include "settings.h"

using namespace sluice::gpu;

namespace {
constexpr int kGroups = columns / width;
using Scalars = sluice::ops::ScalarsOf<Function>;
constexpr int kMaxScalars = 2;

struct Place {
  i64 row;
  int column;
};
inline Place place_of(i64 item) { return {item / kGroups, int(item % kGroups) * width}; }
inline i64 own_item() { return i64(block_x()) * 256 + thread(); }

// Templates, so that what Function lacks is not compiled.
template <class F = Function>
inline float factor(float b) {
  if constexpr (sluice::ops::FactorOf<F>::is_custom)
    return F::factor(b);
  else
    return b;
}
template <class F = Function>
inline float factor_slope(float b) {
  if constexpr (sluice::ops::FactorOf<F>::is_custom)
    return F::factor_slope(b);
  else
    return 1.0f;
}

// sums += the slopes of the scalars at a, times dh.
template <class F>
inline void add_slopes(const F& f, float a, float dh, float (&sums)[kMaxScalars]) {
  if constexpr (Scalars::count > 0) {
    const sluice::ops::ScalarSlopes slopes = f.scalar_slopes(a);
    sums[0] += dh * slopes.first;
    sums[1] += dh * slopes.second;
  }
}
inline void store_sums(const float (&sums)[kMaxScalars], float* partial) {
  if constexpr (Scalars::count == 1)
    store_block_sums<1>({sums[0]}, partial);
  else if constexpr (Scalars::count == 2)
    store_block_sums<2>(sums, partial);
}
}  // namespace

KERNEL(plain, 256, const Element* x, Element* y, const float* scalars, i64 rows) {
  if (own_item() >= rows * kGroups) return;
  const Function f = Scalars::function(scalars);
  const i64 at = own_item() * width;
  Values<width> a = load<width>(x + at);
#pragma unroll
  for (int j = 0; j < width; ++j) a.v[j] = f.value(a.v[j]);
  store(y + at, a);
}

// Backward passes also compute the result y again, unless it is null.
KERNEL(plain_backward, 256, const Element* x, const Element* dy, Element* dx, Element* y,
       const float* scalars, float* partial, i64 rows) {
  float sums[kMaxScalars] = {0, 0};
  if (own_item() < rows * kGroups) {
    const Function f = Scalars::function(scalars);
    const i64 at = own_item() * width;
    const Values<width> a = load<width>(x + at), g = load<width>(dy + at);
    Values<width> da, h;
#pragma unroll
    for (int j = 0; j < width; ++j) {
      da.v[j] = f.slope(a.v[j]) * g.v[j];
      h.v[j] = f.value(a.v[j]);
      add_slopes(f, a.v[j], g.v[j], sums);
    }
    store(dx + at, da);
    if (y) store(y + at, h);
  }
  store_sums(sums, partial);
}

KERNEL(gated, 256, const Element* x, Element* y, const float* scalars, i64 rows) {
  if (own_item() >= rows * kGroups) return;
  const Function f = Scalars::function(scalars);
  const Place at = place_of(own_item());
  const Element* from = x + at.row * (2 * columns) + at.column;
  const Values<width> a = load<width>(from), b = load<width>(from + columns);
  Values<width> h;
#pragma unroll
  for (int j = 0; j < width; ++j) h.v[j] = f.value(a.v[j]) * factor(b.v[j]);
  store(y + at.row * columns + at.column, h);
}

KERNEL(gated_backward, 256, const Element* x, const Element* dy, Element* dx, Element* y,
       const float* scalars, float* partial, i64 rows) {
  float sums[kMaxScalars] = {0, 0};
  if (own_item() < rows * kGroups) {
    const Function f = Scalars::function(scalars);
    const Place at = place_of(own_item());
    const Element* from = x + at.row * (2 * columns) + at.column;
    const Values<width> a = load<width>(from), b = load<width>(from + columns),
                        g = load<width>(dy + at.row * columns + at.column);
    Values<width> da, db, h;
#pragma unroll
    for (int j = 0; j < width; ++j) {
      const float value = f.value(a.v[j]), c = factor(b.v[j]);
      da.v[j] = f.slope(a.v[j]) * c * g.v[j];
      db.v[j] = value * factor_slope(b.v[j]) * g.v[j];
      h.v[j] = value * c;
      add_slopes(f, a.v[j], c * g.v[j], sums);
    }
    Element* to = dx + at.row * (2 * columns) + at.column;
    store(to, da);
    store(to + columns, db);
    if (y) store(y + at.row * columns + at.column, h);
  }
  store_sums(sums, partial);
}

KERNEL(add_scalar_gradients, 256, const float* partial, float* gradient, i64 num_partials) {
  add_block_sums(partial, gradient, num_partials);
}
