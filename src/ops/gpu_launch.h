// What the GPU forms of the ops share: the kernel texts of this module, and program settings.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>

#include "base/error.h"
#include "gpu/device.h"

namespace sluice::ops {

// The *.cu files of this module and the texts they include. Generated (gpu/embed.cmake).
std::span<const gpu::Text> kernel_texts();

// The type of an element in a kernel text.
inline std::string_view element_name(at::ScalarType type) {
  invariant(type == at::kFloat || type == at::kBFloat16,
            "kernels for GPUs compute on fp32 or bf16");
  return type == at::kFloat ? "float" : "sluice::gpu::bf16";
}

// Elements per load: the largest of 8, 4 and 1 that divides all `sizes`. Tensors from LibTorch's
// allocators and arena slots are aligned for 8.
inline int vector_width(std::initializer_list<std::int64_t> sizes) {
  for (const int width : {8, 4}) {
    bool divides = true;
    for (const std::int64_t size : sizes) divides = divides && size % width == 0;
    if (divides) return width;
  }
  return 1;
}

inline std::int64_t blocks_for(std::int64_t items, std::int64_t items_per_block) {
  return (items + items_per_block - 1) / items_per_block;
}

}  // namespace sluice::ops
