#include "ops/cudnn_attention_graph.h"

namespace sluice::ops {
namespace {

using Sizes = CudnnGraph::Sizes;
using Tensor = CudnnGraph::Tensor;
using enum CudnnPointwise;

constexpr CudnnData kFloat = CudnnData::kFloat, kInt32 = CudnnData::kInt32,
                    kBool = CudnnData::kBool;

Sizes swapped(Sizes x) {
  std::swap(x[2], x[3]);
  return x;
}

// The parts that forward and backward share.
class Builder {
 public:
  Builder(CudnnGraph& graph, const CudnnAttentionShape& shape, bool has_lengths)
      : g(graph),
        s(shape),
        heads_{s.B, s.H, s.T, s.D},
        keys_{s.B, s.K, s.S, s.D},
        y_strides_{s.T * s.H * s.D, s.D, s.H * s.D, 1},
        pairs_{s.B, s.H, s.T, s.S},
        row_{s.B, s.H, s.T, 1},
        row_strides_{s.H * s.T, s.T, 1, 1},
        has_lengths_(has_lengths) {
    g.tensor(kCudnnQ, s.type, heads_, s.q);
    g.tensor(kCudnnK, s.type, swapped(keys_), swapped(s.k));  // products take kᵀ
    g.tensor(kCudnnY, s.type, heads_, y_strides_);
    g.tensor(kCudnnLogSumExp, kFloat, row_, row_strides_);
    g.scalar(kCudnnScale);
    if (s.bias_row > 0)
      g.tensor(kCudnnBias, s.type, {1, s.H, s.T, s.S},
               {s.H * s.T * s.bias_row, s.T * s.bias_row, s.bias_row, 1});
    if (s.causal) g.scalar(kCudnnLowestOfFuture);
    if (has_lengths_) g.scalar(kCudnnLowestOfPadding);
    for (const Tensor lengths : {kCudnnQueryLengths, kCudnnKeyLengths})
      if (has_lengths_) g.tensor(lengths, kInt32, {s.B, 1, 1, 1}, {1, 1, 1, 1});
  }

 protected:
  Tensor pairs(CudnnData type = kFloat) { return g.intermediate(type, pairs_); }
  // Transposed in memory, in the type of products.
  Tensor transposed_pairs() {
    return g.intermediate(s.type, swapped(pairs_), {s.H * s.T * s.S, s.T * s.S, 1, s.S});
  }
  Tensor rows() { return g.intermediate(kFloat, row_, row_strides_); }
  Tensor apply(CudnnPointwise mode, Tensor x, Tensor b = 0) {
    const Tensor y = pairs();
    g.pointwise(mode, {x, b}, y);
    return y;
  }
  // x where the mask is true.
  Tensor select(Tensor x, Tensor mask, Tensor otherwise) {
    const Tensor y = pairs();
    g.pointwise(kSelect, {x, otherwise, mask}, y);
    return y;
  }
  Tensor compare(CudnnPointwise mode, Tensor a, Tensor b) {
    const Tensor y = pairs(kBool);
    g.pointwise(mode, {a, b}, y, kBool);
    return y;
  }
  Tensor position(int axis, Tensor like, CudnnData precision) {
    const Tensor y = pairs(kInt32);
    g.position(axis, like, y, precision);
    return y;
  }

  CudnnGraph::Actual if_padded(const CudnnGraph::Actual& actual) const {
    return has_lengths_ ? actual : CudnnGraph::Actual{};
  }

  // scale q kᵀ + bias
  Tensor scores() {
    Tensor x = pairs();
    g.multiply(kCudnnQ, kCudnnK, x,
               if_padded({.rows = kCudnnQueryLengths, .columns = kCudnnKeyLengths}));
    x = apply(kMultiply, x, kCudnnScale);
    return s.bias_row > 0 ? apply(kAdd, x, kCudnnBias) : x;
  }
  Tensor without_padding(Tensor x) {
    const Tensor query = position(2, x, kInt32), key = position(3, x, kInt32);
    const Tensor query_exists = compare(kLess, query, kCudnnQueryLengths),
                 key_exists = compare(kLess, key, kCudnnKeyLengths);
    return select(x, compare(kAnd, query_exists, key_exists), kCudnnLowestOfPadding);
  }
  Tensor without_future(Tensor x) {
    const Tensor query = position(2, x, kFloat), key = position(3, x, kFloat);
    return select(x, compare(kAtLeast, query, key), kCudnnLowestOfFuture);
  }

  CudnnGraph& g;
  const CudnnAttentionShape& s;
  const Sizes heads_, keys_, y_strides_, pairs_, row_, row_strides_;
  const bool has_lengths_;
};

class Forward : Builder {
 public:
  Forward(CudnnGraph& graph, const CudnnAttentionShape& shape) : Builder(graph, shape, false) {}

  void add() {
    g.tensor(kCudnnV, s.type, keys_, s.v);
    Tensor x = scores();
    if (s.causal) x = without_future(x);
    const Tensor most = rows(), sum = rows(), log = rows();
    g.reduce(CudnnReduction::kMax, x, most);
    const Tensor exponential = apply(kExp, apply(kSubtract, x, most));
    g.reduce(CudnnReduction::kAdd, exponential, sum);
    g.pointwise(kLog, {sum}, log);
    g.pointwise(kAdd, {most, log}, kCudnnLogSumExp);
    const Tensor p = pairs(s.type);
    g.pointwise(kDivide, {exponential, sum}, p);
    g.multiply(p, kCudnnV, kCudnnY);
  }
};

class Backward : Builder {
 public:
  Backward(CudnnGraph& graph, const CudnnAttentionShape& shape)
      : Builder(graph, shape, backward_needs_lengths(shape)) {}

  void add() {
    g.tensor(kCudnnV, s.type, swapped(keys_), swapped(s.v));
    g.tensor(kCudnnDy, s.type, heads_, y_strides_);
    g.tensor(kCudnnDq, s.type, heads_, s.q);
    g.tensor(kCudnnDk, s.type, keys_, s.k);
    g.tensor(kCudnnDv, s.type, keys_, s.v);
    add_delta();
    const Tensor p = add_probabilities(), p_T = transposed_pairs();
    g.reshape(p, p_T);
    add_key_gradient(p_T, kCudnnDy, kCudnnDv);
    const Tensor dscores = add_score_gradient(p), dscores_T = transposed_pairs();
    g.reshape(dscores, dscores_T);
    add_key_gradient(dscores_T, kCudnnQ, kCudnnDk);
    add_query_gradient(dscores);
  }

 private:
  // The sums over D of y · dy, with a factor that is 1 without dropout.
  void add_delta() {
    g.scalar(kCudnnOne);
    g.tensor(kCudnnDelta, kFloat, row_, row_strides_);
    const Tensor products = g.intermediate(
        kFloat, heads_, {s.H * s.T * s.D, s.T * s.D, s.H * s.D, 1});  // as in cudnn-frontend
    const Tensor sums = rows();
    g.pointwise(kMultiply, {kCudnnDy, kCudnnY}, products);
    g.reduce(CudnnReduction::kAdd, products, sums);
    g.pointwise(kMultiply, {sums, kCudnnOne}, kCudnnDelta);
  }
  Tensor add_probabilities() {
    Tensor x = scores();
    if (has_lengths_) x = without_padding(x);
    x = apply(kSubtract, x, kCudnnLogSumExp);
    if (s.causal) x = without_future(x);
    return apply(kExp, x);
  }
  // scale P (dy vᵀ − delta)
  Tensor add_score_gradient(Tensor p) {
    const Tensor dp = pairs();
    g.multiply(kCudnnDy, kCudnnV, dp,
               if_padded({.rows = kCudnnQueryLengths, .columns = kCudnnKeyLengths}));
    return apply(kMultiply, apply(kMultiply, apply(kSubtract, dp, kCudnnDelta), p), kCudnnScale);
  }
  // a_T b, for grouped queries of each query head before they are added.
  void add_key_gradient(Tensor a_T, Tensor b, Tensor result) {
    const CudnnGraph::Actual actual =
        if_padded({.rows = kCudnnKeyLengths, .depth = kCudnnQueryLengths});
    if (s.H == s.K) return g.multiply(a_T, b, result, actual);
    const Tensor of_query_heads = g.intermediate(s.type, {s.B, s.H, s.S, s.D});
    g.multiply(a_T, b, of_query_heads, actual);
    g.reduce(CudnnReduction::kAdd, of_query_heads, result);
  }
  // dscores k. Summed over blocks of keys: by one block of threads if it has to be repeatable,
  // otherwise by atomic additions to an fp32 tensor.
  void add_query_gradient(Tensor dscores) {
    const Tensor k = g.intermediate(kFloat, keys_, s.k);
    g.reshape(kCudnnK, k);
    const CudnnGraph::Actual actual =
        if_padded({.rows = kCudnnQueryLengths, .depth = kCudnnKeyLengths});
    if (s.deterministic) return g.multiply(dscores, k, kCudnnDq, actual);
    g.tensor(kCudnnDqSum, kFloat, heads_, {s.H * s.T * s.D, s.T * s.D, s.D, 1});
    g.multiply(dscores, k, kCudnnDqSum, actual);
    g.pointwise(kIdentity, {kCudnnDqSum}, kCudnnDq);
  }
};

}  // namespace

void add_attention_forward(CudnnGraph& graph, const CudnnAttentionShape& shape) {
  Forward(graph, shape).add();
}

void add_attention_backward(CudnnGraph& graph, const CudnnAttentionShape& shape) {
  Backward(graph, shape).add();
}

}  // namespace sluice::ops
