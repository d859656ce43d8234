// Activations of feed-forward layers. x has rows of `columns` elements, or of 2 · columns if gated:
// a and b packed (ops/glu.h). One thread per `width` columns.
//
// settings.h: Function, Element; columns, width.
#include "gpu/kernel.h"
#include "ops/activation_functions.h"
#include "settings.h"

using namespace sluice::gpu;

namespace {
constexpr int kGroups = columns / width;

struct Place {
  i64 row;
  int column;
};
inline Place place_of(i64 item) { return {item / kGroups, int(item % kGroups) * width}; }
inline i64 own_item() { return i64(block_x()) * 256 + thread(); }
}  // namespace

KERNEL(plain, 256, const Element* x, Element* y, i64 rows) {
  if (own_item() >= rows * kGroups) return;
  const i64 at = own_item() * width;
  Values<width> a = load<width>(x + at);
#pragma unroll
  for (int j = 0; j < width; ++j) a.v[j] = Function::value(a.v[j]);
  store(y + at, a);
}

// Backward passes also compute the result y again, unless it is null.
KERNEL(plain_backward, 256, const Element* x, const Element* dy, Element* dx, Element* y,
       i64 rows) {
  if (own_item() >= rows * kGroups) return;
  const i64 at = own_item() * width;
  const Values<width> a = load<width>(x + at), g = load<width>(dy + at);
  Values<width> da, h;
#pragma unroll
  for (int j = 0; j < width; ++j) {
    da.v[j] = Function::slope(a.v[j]) * g.v[j];
    h.v[j] = Function::value(a.v[j]);
  }
  store(dx + at, da);
  if (y) store(y + at, h);
}

KERNEL(gated, 256, const Element* x, Element* y, i64 rows) {
  if (own_item() >= rows * kGroups) return;
  const Place at = place_of(own_item());
  const Element* from = x + at.row * (2 * columns) + at.column;
  const Values<width> a = load<width>(from), b = load<width>(from + columns);
  Values<width> h;
#pragma unroll
  for (int j = 0; j < width; ++j) h.v[j] = Function::value(a.v[j]) * b.v[j];
  store(y + at.row * columns + at.column, h);
}

KERNEL(gated_backward, 256, const Element* x, const Element* dy, Element* dx, Element* y,
       i64 rows) {
  if (own_item() >= rows * kGroups) return;
  const Place at = place_of(own_item());
  const Element* from = x + at.row * (2 * columns) + at.column;
  const Values<width> a = load<width>(from), b = load<width>(from + columns),
                      g = load<width>(dy + at.row * columns + at.column);
  Values<width> da, db, h;
#pragma unroll
  for (int j = 0; j < width; ++j) {
    const float f = Function::value(a.v[j]);
    da.v[j] = Function::slope(a.v[j]) * b.v[j] * g.v[j];
    db.v[j] = f * g.v[j];
    h.v[j] = f * b.v[j];
  }
  Element* to = dx + at.row * (2 * columns) + at.column;
  store(to, da);
  store(to + columns, db);
  if (y) store(y + at.row * columns + at.column, h);
}
