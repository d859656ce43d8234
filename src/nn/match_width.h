// `d_ff: match`: the width at which a feed-forward layer has the parameters and multiply-adds of a two-matrix layer.
//
// A gated layer has three matrices, so its width is 2/3 of the reference's: 8/3·d_model against 4·d_model (Shazeer 2020, section 3.1).
#pragma once

#include <cstdint>

#include "nn/ffn_variants.h"

namespace sluice::nn {

struct WidthMatch {
  std::int64_t d_ff = 0;
  double mismatch = 0;               // (parameters of the layer − parameters of the reference) / the latter
  double multiply_add_mismatch = 0;  // likewise; differs only where there are biases
};

inline constexpr double kMaxMismatch = 0.01;

struct WidthRequest {
  std::int64_t d_model = 0;
  std::int64_t reference = 0;  // width of the two-matrix layer
  std::int64_t multiple = 1;   // d_ff is a multiple of it
  bool bias = false;
};

// The multiple with the smallest mismatch; at least one multiple. The caller compares with kMaxMismatch.
WidthMatch match_width(const FfnVariant& variant, const WidthRequest& request);
// The mismatch of a width given by hand.
WidthMatch compare_width(const FfnVariant& variant, const WidthRequest& request, std::int64_t d_ff);

}  // namespace sluice::nn
