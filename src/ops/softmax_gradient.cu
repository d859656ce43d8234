// Loss and in-place gradient of softmax cross-entropy (ops/softmax_gradient.h): one block per row.
//
// settings.h: Element; vocab_size; stride, the elements between rows, whose length is a multiple of
// 16 bytes; threads; in_registers, whether a thread keeps its part of the row between the passes;
// with_gradient.
#include "gpu/kernel.h"
#include "settings.h"

using namespace sluice::gpu;

namespace {

constexpr int kWidth = 16 / sizeof(Element);  // elements of a group
constexpr int kGroups = stride / kWidth;
constexpr int kParts = (kGroups + threads - 1) / threads;  // groups of a thread
constexpr float kLog2e = 1.4426950408889634f;
constexpr int kUnroll = in_registers ? kParts : 4;

inline u32 minus_infinity(float) { return 0xff800000u; }
inline u32 minus_infinity(bf16) { return 0xff80ff80u; }

inline Values<8> unpacked(const uint4& raw, bf16) { return unpack(raw); }
inline Values<4> unpacked(const uint4& raw, float) {
  return {{float_of(raw.x), float_of(raw.y), float_of(raw.z), float_of(raw.w)}};
}

// Group `group` of a row; −∞ beyond the vocabulary.
inline uint4 load_group(const Element* row, int group) {
  const u32 nothing = minus_infinity(Element());
  if (group * kWidth >= vocab_size) return make_uint4(nothing, nothing, nothing, nothing);
  uint4 raw = *reinterpret_cast<const uint4*>(row + group * kWidth);
  if ((group + 1) * kWidth > vocab_size) {
    u32 words[4] = {raw.x, raw.y, raw.z, raw.w};
#pragma unroll
    for (int j = 0; j < kWidth; ++j) {
      if (group * kWidth + j < vocab_size) continue;
      if constexpr (kWidth == 4)
        words[j] = nothing;
      else if (j % 2 == 0)
        words[j / 2] = nothing;
      else
        words[j / 2] = (words[j / 2] & 0xffffu) | (nothing & 0xffff0000u);
    }
    raw = make_uint4(words[0], words[1], words[2], words[3]);
  }
  return raw;
}

// The part of a row that belongs to this thread.
struct Part {
  uint4 kept[in_registers ? kParts : 1];
  const Element* row;

  inline void load_all() {
    if constexpr (in_registers) {
#pragma unroll
      for (int i = 0; i < kParts; ++i) kept[i] = load_group(row, thread() + i * threads);
    }
  }
  inline Values<kWidth> group(int i) {
    if constexpr (in_registers) {
      reload(kept[i]);
      return unpacked(kept[i], Element());
    } else {
      return unpacked(load_group(row, thread() + i * threads), Element());
    }
  }
};

// Joins (maximum, sum of e^(x − maximum)) of the lanes of a warp.
inline void join(float& most, float& sum) {
#pragma unroll
  for (int k = 16; k > 0; k /= 2) {
    const float other = shuffle_xor(most, k), other_sum = shuffle_xor(sum, k);
    const float top = fmaxf(most, other);
    sum = sum * power_of_two((most - top) * kLog2e) +
          other_sum * power_of_two((other - top) * kLog2e);
    most = top;
  }
}

constexpr float kLowest = -3.4e38f;

// The maximum of a row and Σ e^(x − maximum), the same in all threads.
struct Total {
  float most, sum;
};
inline Total total_of(Part& part) {
  float most = kLowest, sum = 0;
#pragma unroll kUnroll
  for (int i = 0; i < kParts; ++i) {
    const Values<kWidth> a = part.group(i);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) most = fmaxf(most, a.v[j]);
  }
#pragma unroll kUnroll
  for (int i = 0; i < kParts; ++i) {
    const Values<kWidth> a = part.group(i);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) sum += power_of_two((a.v[j] - most) * kLog2e);
  }
  SHARED float part_most[threads / 32], part_sum[threads / 32];
  join(most, sum);
  if (thread() % 32 == 0) {
    part_most[thread() / 32] = most;
    part_sum[thread() / 32] = sum;
  }
  sync();
  const int lane = thread() % 32;
  most = lane < threads / 32 ? part_most[lane] : kLowest;
  sum = lane < threads / 32 ? part_sum[lane] : 0.0f;
  join(most, sum);
  return {most, sum};
}

}  // namespace

// loss and squares receive log Z − logits[target] and (log Z)², 0 for targets < 0.
KERNEL(softmax_gradient, threads, Element* logits, const i64* targets, double* loss,
       double* squares, const double* scale, double z_loss, i64 rows) {
  const i64 row = block_x();
  Part part;
  part.row = logits + row * stride;
  const i64 target = targets[row];
  float log_z = 0;
  if (target >= 0) {
    part.load_all();
    const float target_logit = load(part.row + target);
    const Total total = total_of(part);
    const float log_sum = logf(total.sum);
    log_z = total.most + log_sum;
    if (thread() == 0) {
      loss[row] = double(log_sum) + (double(total.most) - double(target_logit));
      squares[row] = double(log_z) * double(log_z);
    }
  } else if (thread() == 0) {
    loss[row] = squares[row] = 0;
  }
  if constexpr (!with_gradient) return;
  const float factor = target >= 0 ? float(*scale * (1 + 2 * z_loss * double(log_z))) : 0.0f;
  const float at_target = float(*scale), shift = log_z * kLog2e;
#pragma unroll kUnroll
  for (int i = 0; i < kParts; ++i) {
    const int group = thread() + i * threads;
    if (kGroups % threads != 0 && group >= kGroups) continue;
    Values<kWidth> a;
    if (target >= 0) {
      a = part.group(i);
#pragma unroll
      for (int j = 0; j < kWidth; ++j) {
        a.v[j] = power_of_two(a.v[j] * kLog2e - shift) * factor;
        if (group * kWidth + j == target) a.v[j] -= at_target;
      }
    } else {
      for (int j = 0; j < kWidth; ++j) a.v[j] = 0;
    }
    store(logits + row * stride + group * kWidth, a);
  }
}
