// What a forward pass is told besides its tensors.
#pragma once

#include <cstdint>

namespace sluice::ops {

// Which form of an op runs. kFastest: the fused form where there is one for these tensors (choose() in each op's .cpp), else the
// reference. kReference: plain ATen calls and LibTorch's autograd, the definition that every fused form is tested against.
enum class Form { kFastest, kReference };

struct Context {
  Form form = Form::kFastest;
  bool training = false;  // dropout is active
  // Coordinates of the dropout masks: a mask element is a pure function of (seed, step, sample in the step, layer, place, position).
  std::uint64_t seed = 0;
  std::uint64_t step = 0;
  std::int64_t first_sample = 0;  // row of the whole step's batch at which this micro-batch begins
};

}  // namespace sluice::ops
