// e^x and division on a CPU; ops/exponential_gpu.h replaces this text in kernels for GPUs.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

namespace sluice::ops {

// e^x for x clamped to [-87, 88], so that result and scale are normal numbers. x = n ln 2 + r with
// |r| <= ½ ln 2; e^r by its Taylor polynomial (remainder below 6e-9).
inline float fast_exp(float x) {
  constexpr float kRoundToInteger = 12582912.0f;  // 1.5 · 2^23: adding it drops the fraction
  const float clamped = std::max(std::min(x, 88.0f), -87.0f);
  const float shifted = clamped * 1.44269504f + kRoundToInteger;
  const float n = shifted - kRoundToInteger;
  // ln 2 in two parts; the first has few bits, so its product with n is exact
  const float r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.0f / 5040.0f;
  p = p * r + 1.0f / 720.0f;
  p = p * r + 1.0f / 120.0f;
  p = p * r + 1.0f / 24.0f;
  p = p * r + 1.0f / 6.0f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  // The low bits of `shifted` are n; shifted into the exponent field they give 2^n.
  const std::uint32_t exponent =
      (std::bit_cast<std::uint32_t>(shifted) << 23) + (std::uint32_t{127} << 23);
  return p * std::bit_cast<float>(exponent);
}

inline float divide(float a, float b) { return a / b; }

}  // namespace sluice::ops
