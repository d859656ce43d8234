// Rows of the section `model` that mean the same in every architecture.
#pragma once

#include <cstdint>
#include <tuple>

#include "config/field.h"

namespace sluice::model {

// Upper limits of sizes: far beyond any machine, and small enough that no count of elements or operations overflows 64 bits.
inline constexpr double kMaxWidth = 65536, kMaxHiddenWidth = 16777216, kMaxHeads = 4096, kMaxHeadDim = 4096, kMaxLayers = 10000,
                        kMaxVocabulary = 2147483647;

// Of the head and of the feed-forward layer. C: the configuration of an architecture.
template <class C>
constexpr auto width_rows() {
  using config::field, config::Between;
  return std::tuple{
      field<&C::head_dim>("Width of a head; `auto`: d_model / num_heads.", Between{1, kMaxHeadDim}),
      field<&C::ffn>("Feed-forward layer, one of the table of variants."),
      field<&C::d_ff>("Hidden width of the feed-forward layer. `match`: the width with the parameters and multiply-adds of "
                      "a two-matrix layer of d_ff_reference.",
                      Between{1, kMaxHiddenWidth}),
      field<&C::d_ff_reference>("Width of the two-matrix layer that `d_ff: match` equals; `auto`: 4·d_model.", Between{1, kMaxHiddenWidth}),
      field<&C::d_ff_multiple>(
          "`d_ff: match` rounds to a multiple of this. A mismatch over 1 % in parameters or in multiply-adds is refused.",
          Between{1, kMaxHiddenWidth})};
}

}  // namespace sluice::model
