// Rotary positions on packed projections: rows of `heads` heads of `head_dim` elements, the first
// `rotated` of which are rotated. One thread per `width` elements of each half of a head.
//
// settings.h: Element; heads, rotated, head_dim, width.
#include "gpu/kernel.h"
#include "settings.h"

using namespace sluice::gpu;

namespace {
// Without rotation, any head_dim is allowed, also an odd one.
constexpr int kParts = rotated > 0 ? 2 : 1, kSpan = head_dim / kParts, kChunks = kSpan / width;

struct Place {
  i64 row;
  int head, first;  // first element
};
// The place of this thread among the first `count` heads of all rows.
inline Place own_place(int count) {
  const i64 item = i64(block_x()) * 256 + thread(), head = item / kChunks;
  return {head / count, int(head % count), int(item % kChunks) * width};
}

// Rotates (a, b) by the angles of a position; direction −1: back.
inline void rotate_pairs(Values<width>& a, Values<width>& b, const float* cos, const float* sin,
                         float direction) {
  const Values<width> c = load<width>(cos), s = load<width>(sin);
#pragma unroll
  for (int j = 0; j < width; ++j) {
    const float x = a.v[j], y = b.v[j], sine = direction * s.v[j];
    a.v[j] = x * c.v[j] - y * sine;
    b.v[j] = y * c.v[j] + x * sine;
  }
}

// A head from `from` to `to`, rotated if it is one of the rotated heads.
inline void move_head(const Element* from, Element* to, const float* cos, const float* sin,
                      const Place& at, float direction) {
  Values<width> a = load<width>(from + at.first);
  if constexpr (kParts == 2) {
    Values<width> b = load<width>(from + kSpan + at.first);
    if (at.head < rotated) rotate_pairs(a, b, cos + at.first, sin + at.first, direction);
    store(to + kSpan + at.first, b);
  }
  store(to + at.first, a);
}
}  // namespace

// The first `count` heads of each row, from one packed tensor to another, which may be the same.
// Row r has position r % length; cos and sin have head_dim / 2 columns.
KERNEL(rotate, 256, const Element* from, Element* to, const float* cos, const float* sin, i64 rows,
       i64 length, i64 count, float direction) {
  const Place at = own_place(count);
  if (at.row >= rows) return;
  const i64 head = (at.row * heads + at.head) * head_dim, angles = at.row % length * kSpan;
  move_head(from + head, to + head, cos + angles, sin + angles, at, direction);
}

// Writes heads first ... first + count − 1 of a packed gradient from a tensor with any strides of
// sequences, positions and heads. The rotated ones are rotated back.
KERNEL(pack_gradient, 256, const Element* from, i64 from_sequence, i64 from_row, i64 from_head,
       Element* to, const float* cos, const float* sin, i64 rows, i64 length, i64 first,
       i64 count) {
  Place at = own_place(count);
  if (at.row >= rows) return;
  const i64 t = at.row % length;
  from += at.row / length * from_sequence + t * from_row + at.head * from_head;
  at.head += first;
  to += (at.row * heads + at.head) * head_dim;
  move_head(from, to, cos + t * kSpan, sin + t * kSpan, at, -1.0f);
}
