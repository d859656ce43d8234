// The kernel language: loads, stores and sums on top of gpu/target.h. Included by kernel texts.
#pragma once

#include "gpu/target.h"

namespace sluice::gpu {

// bfloat16 in memory: the upper half of an fp32.
struct bf16 {
  unsigned short bits;
};

// `width` elements in registers, as fp32.
template <int width>
struct Values {
  float v[width];
};

inline float low(u32 pair) { return float_of(pair << 16); }
inline float high(u32 pair) { return float_of(pair & 0xffff0000u); }

inline float load(const float* p) { return *p; }
inline float load(const bf16* p) { return low(p->bits); }
inline void store(float* p, float x) { *p = x; }
inline void store(bf16* p, float x) { p->bits = static_cast<unsigned short>(pack(x, 0.0f)); }

inline Values<8> unpack(const uint4& a) {
  return {{low(a.x), high(a.x), low(a.y), high(a.y), low(a.z), high(a.z), low(a.w), high(a.w)}};
}

// 1, 4 or 8 elements, aligned to their size, at most 16 bytes.
template <int width>
inline Values<width> load(const float* p) {
  Values<width> a;
  if constexpr (width == 1) {
    a.v[0] = *p;
  } else {
#pragma unroll
    for (int j = 0; j < width; j += 4) {
      const float4 part = *reinterpret_cast<const float4*>(p + j);
      a.v[j] = part.x;
      a.v[j + 1] = part.y;
      a.v[j + 2] = part.z;
      a.v[j + 3] = part.w;
    }
  }
  return a;
}
template <int width>
inline Values<width> load(const bf16* p) {
  if constexpr (width == 1) {
    return {{load(p)}};
  } else if constexpr (width == 4) {
    const uint2 a = *reinterpret_cast<const uint2*>(p);
    return {{low(a.x), high(a.x), low(a.y), high(a.y)}};
  } else {
    return unpack(*reinterpret_cast<const uint4*>(p));
  }
}
template <int width>
inline void store(float* p, const Values<width>& a) {
  if constexpr (width == 1) {
    *p = a.v[0];
  } else {
#pragma unroll
    for (int j = 0; j < width; j += 4)
      *reinterpret_cast<float4*>(p + j) = make_float4(a.v[j], a.v[j + 1], a.v[j + 2], a.v[j + 3]);
  }
}
template <int width>
inline void store(bf16* p, const Values<width>& a) {
  if constexpr (width == 1) {
    store(p, a.v[0]);
  } else if constexpr (width == 4) {
    *reinterpret_cast<uint2*>(p) = make_uint2(pack(a.v[0], a.v[1]), pack(a.v[2], a.v[3]));
  } else {
    *reinterpret_cast<uint4*>(p) = make_uint4(pack(a.v[0], a.v[1]), pack(a.v[2], a.v[3]),
                                              pack(a.v[4], a.v[5]), pack(a.v[6], a.v[7]));
  }
}

// The sum over a warp, the same in all lanes.
template <class T>
inline T warp_sum(T x) {
  for (int k = 16; k > 0; k /= 2) x += shuffle_xor(x, k);
  return x;
}

// The sum over a block of `kThreads` threads, the same in all of them; fixed order.
template <int kThreads, class T>
inline T block_sum(T x) {
  constexpr int kWarps = kThreads / 32;
  SHARED T sums[kWarps];
  x = warp_sum(x);
  sync();  // an earlier call may still be reading
  if (thread() % 32 == 0) sums[thread() / 32] = x;
  sync();
  T total = 0;
  for (int k = 0; k < kWarps; ++k) total += sums[k];
  return total;
}

}  // namespace sluice::gpu
