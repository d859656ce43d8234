// What ops/exponential.h defines, by the instructions of a GPU: e^x to 2 ulp (plus the rounding of
// x log2 e: 1e-6 at |x| = 10) and a / b to 2 ulp, 0 for b above 2^126.
#pragma once

#include <algorithm>

namespace sluice::ops {

inline float fast_exp(float x) { return __expf(std::max(std::min(x, 88.0f), -87.0f)); }
inline float divide(float a, float b) { return __fdividef(a, b); }

}  // namespace sluice::ops
