// What a forward pass is told besides its tensors.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

namespace sluice::ops {

// Which form of an op runs. kFastest: the fused form where there is one for these tensors (choose() in each op's .cpp), else the
// reference. kReference: plain ATen calls and LibTorch's autograd, the definition that every fused form is tested against.
enum class Form { kFastest, kReference };

// The type of norm statistics, of the softmax in attention and of the loss. kCompute: that of the products, by the reference forms.
enum class Reductions { kFp32, kCompute };
constexpr auto names_of(Reductions) {
  return std::array{std::pair{Reductions::kFp32, std::string_view("fp32")}, std::pair{Reductions::kCompute, std::string_view("compute")}};
}

struct Context {
  Form form = Form::kFastest;
  Reductions reductions = Reductions::kFp32;
  bool training = false;  // dropout is active
  // Coordinates of the dropout masks: a mask element is a pure function of (seed, step, sample in the step, layer, place, position).
  std::uint64_t seed = 0;
  std::uint64_t step = 0;
  std::int64_t first_sample = 0;  // row of the whole step's batch at which this micro-batch begins
};

}  // namespace sluice::ops
