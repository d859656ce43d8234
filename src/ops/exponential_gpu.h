// What ops/exponential.h defines, by the instructions of a GPU. Errors (CUDA C++ Programming Guide,
// "Mathematical Functions"): e^x 2 + 1.173 |x| ulp; a / b 2 ulp for |b| up to 2^126, 0 above.
#pragma once

#include <algorithm>

namespace sluice::ops {

inline float fast_exp(float x) { return __expf(std::max(std::min(x, 88.0f), -87.0f)); }
inline float divide(float a, float b) { return __fdividef(a, b); }

}  // namespace sluice::ops
