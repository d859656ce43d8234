// Options of a forward pass.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <functional>
#include <string_view>
#include <utility>

#include "gpu/device.h"

namespace sluice::ops {

// Implementation of an op. kFastest: the fused one if it supports these tensors (see ops/choose.h),
// otherwise the reference. kReference: plain ATen calls and LibTorch's autograd, against which
// every fused implementation is tested.
enum class Form { kFastest, kReference };

// Precision of norm statistics, attention softmax and loss. kCompute: the dtype of the matrix
// products, with the reference implementations.
enum class Reductions { kFp32, kCompute };
constexpr auto names_of(Reductions) {
  return std::array{std::pair{Reductions::kFp32, std::string_view("fp32")},
                    std::pair{Reductions::kCompute, std::string_view("compute")}};
}

struct ArenaRange;
// Told of a section of the model, see LanguageModel::gradient_sections().
using OnSection = std::function<void(const ArenaRange&)>;

struct Context {
  Form form = Form::kFastest;
  // Runs the kernels for GPUs. nullptr: CPU kernels, and reference forms on other devices.
  gpu::Device* gpu = nullptr;
  Reductions reductions = Reductions::kFp32;
  bool training = false;  // dropout is active
  // Backward passes on a GPU give the same bits each time. false: faster forms of LibTorch, whose
  // order of summation varies. No effect on a CPU, which always repeats.
  bool deterministic = true;
  // Coordinates of the dropout masks: a mask element is a pure function of (seed, step, sample
  // within the step, dropout site, position).
  std::uint64_t seed = 0;
  std::uint64_t step = 0;
  // int64 scalar in place of `step`, for a step that a GPU reads from memory; undefined: none
  at::Tensor device_step = {};
  std::int64_t first_sample = 0;  // index of this micro-batch's first row in the step's batch
  // Borrowed until the end of the backward pass that follows. Told of the section that the forward
  // pass computes next, and of the one whose gradients are final (final_gradients.h).
  const OnSection* before_section = nullptr;
  const OnSection* on_final_gradients = nullptr;
};

}  // namespace sluice::ops
