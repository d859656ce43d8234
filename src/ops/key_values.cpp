#include "ops/key_values.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "base/error.h"
#include "ops/choose.h"
#include "ops/exponential.h"
#include "ops/row_kernels.h"

namespace sluice::ops {
namespace {

constexpr std::int64_t kMultiplyAddsPerTask = 1 << 15;

std::int64_t rounded_up(std::int64_t n) { return (n + kLanes - 1) / kLanes * kLanes; }

// weights = softmax(scores · scale + bias) of n scores. bias may be nullptr.
struct SoftmaxKernel {
  [[gnu::always_inline]] static inline void run(float* __restrict scores,
                                                const float* __restrict bias, float scale,
                                                std::int64_t n) {
    if (bias) {
      for (std::int64_t j = 0; j < n; ++j) scores[j] = scores[j] * scale + bias[j];
    } else {
      for (std::int64_t j = 0; j < n; ++j) scores[j] *= scale;
    }
    float highest = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : highest)
    for (std::int64_t j = 0; j < n; ++j) highest = scores[j] > highest ? scores[j] : highest;
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t j = 0; j < n; ++j) {
      scores[j] = fast_exp(scores[j] - highest);
      sum += scores[j];
    }
    const float reciprocal = 1.0f / sum;
    for (std::int64_t j = 0; j < n; ++j) scores[j] *= reciprocal;
  }
};

}  // namespace

KeyValues::KeyValues(const AttentionShape& shape, std::int64_t capacity)
    : shape_(shape), padded_head_(rounded_up(shape.head_dim)) {
  grow(rounded_up(capacity));
}

void KeyValues::grow(std::int64_t capacity) {
  const auto moved = [&](const std::vector<float>& from, std::int64_t elements) {
    std::vector<float> to(static_cast<std::size_t>(shape_.num_kv_heads * capacity * elements));
    for (std::int64_t head = 0; head < shape_.num_kv_heads; ++head)
      std::copy_n(from.begin() + head * capacity_ * elements, capacity_ * elements,
                  to.begin() + head * capacity * elements);
    return to;
  };
  keys_ = moved(keys_, shape_.head_dim);
  values_ = moved(values_, padded_head_);
  capacity_ = capacity;
}

void KeyValues::write(std::int64_t position, const float* key, const float* value) {
  invariant(position >= 0, "a cached position is not negative");
  if (position >= capacity_) grow(std::max(2 * capacity_, rounded_up(position + 1)));
  const std::int64_t D = shape_.head_dim;
  for (std::int64_t head = 0; head < shape_.num_kv_heads; ++head, key += D, value += D) {
    float* keys =
        keys_.data() + head * key_stride() + position / kLanes * kLanes * D + position % kLanes;
    for (std::int64_t d = 0; d < D; ++d) keys[d * kLanes] = key[d];
    std::copy_n(value, D, values_.data() + head * value_stride() + position * padded_head_);
  }
}

void rotate_heads(float* heads, std::int64_t num_heads, const Rotary& rotary,
                  std::int64_t position) {
  invariant(position < rotary.cos.size(0), "a rotary table has the position");
  const std::int64_t half = rotary.cos.size(1);
  const float *cos = read<float>(rotary.cos) + position * half,
              *sin = read<float>(rotary.sin) + position * half;
  for (std::int64_t h = 0; h < num_heads; ++h, heads += 2 * half) {
    for (std::int64_t i = 0; i < half; ++i) {
      const float a = heads[i], b = heads[half + i];
      heads[i] = a * cos[i] - b * sin[i];
      heads[half + i] = b * cos[i] + a * sin[i];
    }
  }
}

void attend(const Queries& queries, const AttentionShape& shape, const Scoring& scoring,
            const Rows& y) {
  const std::int64_t H = shape.num_heads, D = shape.head_dim, group = H / shape.num_kv_heads;
  const float scale = 1.0f / static_cast<float>(scoring.divisor);
  const std::int64_t R = scoring.bias_HR.defined() ? scoring.bias_HR.size(1) : 0;
  const float* bias = R > 0 ? read<float>(scoring.bias_HR) : nullptr;
  const RowKernels& kernels = row_kernels();
  const auto heads = [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> scores, summed;
    for (std::int64_t i = begin; i < end; ++i) {
      const auto n = static_cast<std::size_t>(i / H);
      const std::int64_t h = i % H, num_keys = queries.num_keys[n];
      const KeyValues& cache = *queries.cache[n];
      invariant(num_keys > 0 && num_keys <= cache.capacity_, "a query attends to cached keys");
      const HeadKeys head{.query = queries.x.row(i / H) + h * D,
                          .keys = cache.keys_.data() + h / group * cache.key_stride(),
                          .values = cache.values_.data() + h / group * cache.value_stride(),
                          .num_keys = num_keys,
                          .head_dim = D,
                          .value_stride = cache.padded_head_};
      scores.resize(static_cast<std::size_t>(rounded_up(num_keys)));
      summed.resize(static_cast<std::size_t>(cache.padded_head_));
      kernels.scores(head, scores.data());
      const float* bias_row = nullptr;
      if (bias != nullptr) {
        const std::int64_t first = (R - 1) / 2 - queries.positions[n];
        invariant(first >= 0 && first + num_keys <= R, "a relative bias covers all distances");
        bias_row = bias + h * R + first;
      }
      run_kernel<SoftmaxKernel>(scores.data(), bias_row, scale, num_keys);
      kernels.weighted_sum(head, scores.data(), summed.data());
      std::copy_n(summed.data(), D, y.row(i / H) + h * D);
    }
  };
  std::int64_t most_keys = 1;
  for (const std::int64_t num_keys : queries.num_keys) most_keys = std::max(most_keys, num_keys);
  const std::int64_t grain = std::max<std::int64_t>(1, kMultiplyAddsPerTask / (2 * D * most_keys));
  at::parallel_for(0, queries.x.count * H, grain, heads);
}

}  // namespace sluice::ops
