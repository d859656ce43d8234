// Gradient of an embedding table without atomic operations: positions come sorted by token. A block
// sums a run of `run` positions. The sum of a token that lies within the run goes to the table;
// sums of tokens that continue in another run are kept per run, and `add_edges` adds them in order.
//
// settings.h: columns, width, threads.
#include "gpu/kernel.h"
#include "settings.h"

using namespace sluice::gpu;

namespace {

constexpr int kRun = 32;
using Group = Values<width>;

inline int own_column() { return (block_y() * threads + thread()) * width; }
inline void add(Group& to, const Group& from) {
#pragma unroll
  for (int j = 0; j < width; ++j) to.v[j] += from.v[j];
}
inline void add_to(float* p, const Group& a) {
  Group sum = load<width>(p);
  add(sum, a);
  store(p, sum);
}

}  // namespace

// keys: the tokens in ascending order; order: their positions, rows of dy. edges: [runs, 2,
// columns], the sums of the first and of the last token of a run, if they continue.
KERNEL(add_runs, threads, const float* dy, const i64* order, const i64* keys, float* gradient,
       float* edges, i64 rows) {
  const i64 begin = i64(block_x()) * kRun;
  const int n = int(min(i64(kRun), rows - begin)), c = own_column();
  if (c >= columns) return;
  const i64 before = begin > 0 ? keys[begin - 1] : -1;
  const i64 after = begin + n < rows ? keys[begin + n] : -1;
  Group sum = {};
  int first = 0;  // position of the current token's first row in the run
  for (int k = 0; k < n; ++k) {
    const i64 token = keys[begin + k];
    add(sum, load<width>(dy + order[begin + k] * columns + c));
    const bool last = k + 1 == n;
    if (!last && keys[begin + k + 1] == token) continue;
    if ((first == 0 && token == before) || (last && token == after)) {
      store(edges + (i64(block_x()) * 2 + (first == 0 ? 0 : 1)) * columns + c, sum);
    } else {
      add_to(gradient + token * columns + c, sum);
    }
    sum = {};
    first = k + 1;
  }
}

// One block per run: adds the sums of a token that begins in this run and continues in later ones.
KERNEL(add_edges, threads, const i64* keys, float* gradient, const float* edges, i64 rows) {
  const i64 begin = i64(block_x()) * kRun, end = min(begin + kRun, rows);
  const int c = own_column();
  if (c >= columns || end >= rows) return;
  const i64 token = keys[end - 1];
  if (keys[end] != token) return;
  const bool whole = keys[begin] == token;  // the run has no other token
  if (whole && begin > 0 && keys[begin - 1] == token) return;
  Group sum = load<width>(edges + (i64(block_x()) * 2 + (whole ? 0 : 1)) * columns + c);
  for (i64 at = end; at < rows && keys[at] == token; at += kRun)
    add(sum, load<width>(edges + at / kRun * 2 * columns + c));
  add_to(gradient + token * columns + c, sum);
}
