#include "ops/cudnn_attention_graph.h"

namespace sluice::ops {
namespace {

using GraphSizes = CudnnGraph::Sizes;
using TensorId = CudnnGraph::Tensor;
using enum CudnnPointwise;

constexpr CudnnData kFloat = CudnnData::kFloat, kInt32 = CudnnData::kInt32,
                    kBool = CudnnData::kBool;

GraphSizes swapped(GraphSizes x) {
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
    for (const TensorId lengths : {kCudnnQueryLengths, kCudnnKeyLengths})
      if (has_lengths_) g.tensor(lengths, kInt32, {s.B, 1, 1, 1}, {1, 1, 1, 1});
  }

 protected:
  TensorId pairs(CudnnData type = kFloat) { return g.intermediate(type, pairs_); }
  // Transposed in memory, in the type of products.
  TensorId transposed_pairs() {
    return g.intermediate(s.type, swapped(pairs_), {s.H * s.T * s.S, s.T * s.S, 1, s.S});
  }
  TensorId rows() { return g.intermediate(kFloat, row_, row_strides_); }
  TensorId apply(CudnnPointwise mode, TensorId x, TensorId b = 0) {
    const TensorId y = pairs();
    g.pointwise(mode, {x, b}, y);
    return y;
  }
  // x where the mask is true.
  TensorId select(TensorId x, TensorId mask, TensorId otherwise) {
    const TensorId y = pairs();
    g.pointwise(kSelect, {x, otherwise, mask}, y);
    return y;
  }
  TensorId compare(CudnnPointwise mode, TensorId a, TensorId b) {
    const TensorId y = pairs(kBool);
    g.pointwise(mode, {a, b}, y, kBool);
    return y;
  }
  TensorId position(int axis, TensorId like, CudnnData precision) {
    const TensorId y = pairs(kInt32);
    g.position(axis, like, y, precision);
    return y;
  }

  CudnnGraph::Actual if_padded(const CudnnGraph::Actual& actual) const {
    return has_lengths_ ? actual : CudnnGraph::Actual{};
  }

  // scale q kᵀ + bias
  TensorId scores() {
    TensorId x = pairs();
    g.multiply(kCudnnQ, kCudnnK, x,
               if_padded({.rows = kCudnnQueryLengths, .columns = kCudnnKeyLengths}));
    x = apply(kMultiply, x, kCudnnScale);
    return s.bias_row > 0 ? apply(kAdd, x, kCudnnBias) : x;
  }
  TensorId without_padding(TensorId x) {
    const TensorId query = position(2, x, kInt32), key = position(3, x, kInt32);
    const TensorId query_exists = compare(kLess, query, kCudnnQueryLengths),
                   key_exists = compare(kLess, key, kCudnnKeyLengths);
    return select(x, compare(kAnd, query_exists, key_exists), kCudnnLowestOfPadding);
  }
  TensorId without_future(TensorId x) {
    const TensorId query = position(2, x, kFloat), key = position(3, x, kFloat);
    return select(x, compare(kAtLeast, query, key), kCudnnLowestOfFuture);
  }

  CudnnGraph& g;
  const CudnnAttentionShape& s;
  const GraphSizes heads_, keys_, y_strides_, pairs_, row_, row_strides_;
  const bool has_lengths_;
};

class Forward : Builder {
 public:
  Forward(CudnnGraph& graph, const CudnnAttentionShape& shape) : Builder(graph, shape, false) {}

  void add() {
    g.tensor(kCudnnV, s.type, keys_, s.v);
    TensorId x = scores();
    if (s.causal) x = without_future(x);
    const TensorId most = rows(), sum = rows(), log = rows();
    g.reduce(CudnnReduction::kMax, x, most);
    const TensorId exponential = apply(kExp, apply(kSubtract, x, most));
    g.reduce(CudnnReduction::kAdd, exponential, sum);
    g.pointwise(kLog, {sum}, log);
    g.pointwise(kAdd, {most, log}, kCudnnLogSumExp);
    const TensorId p = pairs(s.type);
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
    const TensorId p = add_probabilities(), p_T = transposed_pairs();
    g.reshape(p, p_T);
    add_key_gradient(p_T, kCudnnDy, kCudnnDv);
    const TensorId dscores = add_score_gradient(p), dscores_T = transposed_pairs();
    g.reshape(dscores, dscores_T);
    add_key_gradient(dscores_T, kCudnnQ, kCudnnDk);
    add_query_gradient(dscores);
  }

 private:
  // The sums over D of y · dy, with a factor that is 1 without dropout.
  void add_delta() {
    g.scalar(kCudnnOne);
    g.tensor(kCudnnDelta, kFloat, row_, row_strides_);
    const TensorId products = g.intermediate(
        kFloat, heads_, {s.H * s.T * s.D, s.T * s.D, s.H * s.D, 1});  // as in cudnn-frontend
    const TensorId sums = rows();
    g.pointwise(kMultiply, {kCudnnDy, kCudnnY}, products);
    g.reduce(CudnnReduction::kAdd, products, sums);
    g.pointwise(kMultiply, {sums, kCudnnOne}, kCudnnDelta);
  }
  TensorId add_probabilities() {
    TensorId x = scores();
    if (has_lengths_) x = without_padding(x);
    x = apply(kSubtract, x, kCudnnLogSumExp);
    if (s.causal) x = without_future(x);
    return apply(kExp, x);
  }
  // scale P (dy vᵀ − delta)
  TensorId add_score_gradient(TensorId p) {
    const TensorId dp = pairs();
    g.multiply(kCudnnDy, kCudnnV, dp,
               if_padded({.rows = kCudnnQueryLengths, .columns = kCudnnKeyLengths}));
    return apply(kMultiply, apply(kMultiply, apply(kSubtract, dp, kCudnnDelta), p), kCudnnScale);
  }
  // a_T b, for grouped queries of each query head before they are added.
  void add_key_gradient(TensorId a_T, TensorId b, TensorId result) {
    const CudnnGraph::Actual actual =
        if_padded({.rows = kCudnnKeyLengths, .depth = kCudnnQueryLengths});
    if (s.H == s.K) return g.multiply(a_T, b, result, actual);
    const TensorId of_query_heads = g.intermediate(s.type, {s.B, s.H, s.S, s.D});
    g.multiply(a_T, b, of_query_heads, actual);
    g.reduce(CudnnReduction::kAdd, of_query_heads, result);
  }
  // dscores k. Summed over blocks of keys: by one block of threads if it has to be repeatable,
  // otherwise by atomic additions to an fp32 tensor.
  void add_query_gradient(TensorId dscores) {
    const TensorId k = g.intermediate(kFloat, keys_, s.k);
    g.reshape(kCudnnK, k);
    const CudnnGraph::Actual actual =
        if_padded({.rows = kCudnnQueryLengths, .depth = kCudnnKeyLengths});
    if (s.deterministic) return g.multiply(dscores, k, kCudnnDq, actual);
    g.tensor(kCudnnDqSum, kFloat, heads_, {s.H * s.T * s.D, s.T * s.D, s.D, 1});
    g.multiply(dscores, k, kCudnnDqSum, actual);
    g.pointwise(kCopy, {kCudnnDqSum}, kCudnnDq);
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
