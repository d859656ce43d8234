// A micro-batch as tensors on the model's device.
#pragma once

#include <ATen/core/Tensor.h>

namespace sluice::model {

struct Batch {
  at::Tensor inputs_BT;   // int64
  at::Tensor targets_BT;  // int64; negative: not scored
};

}  // namespace sluice::model
