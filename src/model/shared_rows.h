// Fields of the section `model` that all architectures share.
#pragma once

#include <cstdint>
#include <tuple>

#include "config/field.h"

namespace sluice::model {

// Upper limits of sizes: far beyond any machine, but small enough that element and operation counts
// do not overflow 64 bits.
inline constexpr double kMaxWidth = 65536, kMaxHiddenWidth = 16777216, kMaxHeads = 4096,
                        kMaxHeadDim = 4096, kMaxLayers = 10000, kMaxVocabulary = 2147483647;

// Head and feed-forward widths. C: the configuration of an architecture.
template <class C>
constexpr auto width_fields() {
  using config::field, config::Between;
  return std::tuple{
      field<&C::head_dim>("Width of a head; `auto`: d_model / num_heads.", Between{1, kMaxHeadDim}),
      field<&C::ffn>("Feed-forward variant."),
      field<&C::d_ff>("Hidden width of the feed-forward layer. `match`: the width with the same "
                      "number of parameters and multiply-adds as a two-matrix layer of width "
                      "d_ff_reference.",
                      Between{1, kMaxHiddenWidth}),
      field<&C::d_ff_reference>(
          "Width of the two-matrix layer that `d_ff: match` refers to; `auto`: 4·d_model.",
          Between{1, kMaxHiddenWidth}),
      field<&C::d_ff_multiple>("`d_ff: match` rounds to a multiple of this. A mismatch over 1 % in "
                               "parameters or multiply-adds is an error.",
                               Between{1, kMaxHiddenWidth})};
}

}  // namespace sluice::model
