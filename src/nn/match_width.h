// `d_ff: match`: the width at which a feed-forward layer has the same number of parameters and
// multiply-adds as a two-matrix reference layer.
//
// A gated layer has three matrices, so its width is 2/3 of the reference width: 8/3·d_model instead
// of 4·d_model (Shazeer 2020, section 3.1). Learned scalars of an activation count as parameters.
#pragma once

#include <cstdint>

#include "nn/ffn_variants.h"

namespace sluice::nn {

struct WidthMatch {
  std::int64_t d_ff = 0;
  double mismatch = 0;               // parameters of the layer / parameters of the reference − 1
  double multiply_add_mismatch = 0;  // the same for multiply-adds; differs with biases or scalars
};

inline constexpr double kMaxMismatch = 0.01;

struct WidthRequest {
  std::int64_t d_model = 0;
  std::int64_t reference = 0;  // width of the two-matrix layer
  std::int64_t multiple = 1;   // d_ff is a multiple of this
  bool bias = false;
};

// The positive multiple with the smallest mismatch. The caller compares it with kMaxMismatch.
WidthMatch match_width(const FfnVariant& variant, const WidthRequest& request);
// The mismatch of an explicit width.
WidthMatch compare_width(const FfnVariant& variant, const WidthRequest& request, std::int64_t d_ff);

}  // namespace sluice::nn
