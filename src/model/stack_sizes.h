// Sizes of a stack of blocks, for estimates of its memory.
#pragma once

#include <cstdint>

namespace sluice::model {

struct StackSizes {
  std::int64_t num_layers = 0;
  std::int64_t length = 0;        // positions of a sequence
  std::int64_t cross_length = 0;  // of the encoded sequence; 0: no cross-attention
  std::int64_t d_model = 0, num_heads = 0, num_kv_heads = 0, head_dim = 0, d_ff = 0;
  bool gated = false;
  bool has_relative_bias = false;
  bool has_dropout = false, has_inner_dropout = false;  // see BlockConfig
  // the final norm computes in fp32; its output is multiplied by the scale of a tied head
  bool fp32_output = false, scales_output = false;
};

}  // namespace sluice::model
