// The kernel language: loads, stores and sums on top of gpu/target.h. Included by kernel texts.
#pragma once

#include "gpu/target.h"

namespace sluice::gpu {

// bfloat16 in memory: the upper half of an fp32.
struct bf16 {
  unsigned short bits;
};

struct F4 {
  float v[4];
};
struct F8 {
  float v[8];
};

inline float low(u32 pair) { return float_of(pair << 16); }
inline float high(u32 pair) { return float_of(pair & 0xffff0000u); }

inline float load(const float* p) { return *p; }
inline float load(const bf16* p) { return low(p->bits); }
inline void store(float* p, float x) { *p = x; }
inline void store(bf16* p, float x) { p->bits = static_cast<unsigned short>(pack(x, 0.0f)); }

// Four elements, aligned to their size.
inline F4 load4(const float* p) {
  const float4 a = *reinterpret_cast<const float4*>(p);
  return {{a.x, a.y, a.z, a.w}};
}
inline F4 load4(const bf16* p) {
  const uint2 a = *reinterpret_cast<const uint2*>(p);
  return {{low(a.x), high(a.x), low(a.y), high(a.y)}};
}
inline void store4(float* p, const F4& a) {
  *reinterpret_cast<float4*>(p) = make_float4(a.v[0], a.v[1], a.v[2], a.v[3]);
}
inline void store4(bf16* p, const F4& a) {
  *reinterpret_cast<uint2*>(p) = make_uint2(pack(a.v[0], a.v[1]), pack(a.v[2], a.v[3]));
}

inline F8 unpack8(const uint4& a) {
  return {{low(a.x), high(a.x), low(a.y), high(a.y), low(a.z), high(a.z), low(a.w), high(a.w)}};
}
// Eight elements, aligned to 16 bytes.
inline F8 load8(const bf16* p) { return unpack8(*reinterpret_cast<const uint4*>(p)); }
inline F8 load8(const float* p) {
  const F4 a = load4(p), b = load4(p + 4);
  return {{a.v[0], a.v[1], a.v[2], a.v[3], b.v[0], b.v[1], b.v[2], b.v[3]}};
}
inline void store8(bf16* p, const F8& a) {
  *reinterpret_cast<uint4*>(p) = make_uint4(pack(a.v[0], a.v[1]), pack(a.v[2], a.v[3]),
                                            pack(a.v[4], a.v[5]), pack(a.v[6], a.v[7]));
}
inline void store8(float* p, const F8& a) {
  store4(p, {{a.v[0], a.v[1], a.v[2], a.v[3]}});
  store4(p + 4, {{a.v[4], a.v[5], a.v[6], a.v[7]}});
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
