// Shapes: B sequences, T positions, D head_dim.
#include "ops/gpu_rotary.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "base/text_format.h"
#include "ops/gpu_launch.h"

namespace sluice::ops {
namespace {

constexpr gpu::Program kRotaryProgram{"ops/rotary.cu", &kernel_texts};

// The elements that one load covers: of a head, or of half a head if heads are rotated.
std::int64_t span_of(const PackedHeads& packed) {
  return packed.rotated > 0 ? packed.head_dim / 2 : packed.head_dim;
}

gpu::Kernel rotary_kernel(const char* entry, const PackedHeads& packed, int width,
                          at::ScalarType type) {
  return {&kRotaryProgram,
          cat("using Element = ", element_name(type), ";\nconstexpr int heads = ", packed.heads,
              ", rotated = ", packed.rotated, ", head_dim = ", packed.head_dim, ", width = ", width,
              ";\n"),
          entry};
}

gpu::Grid grid_of(std::int64_t num_heads, const PackedHeads& packed, int width) {
  return {.x = blocks_for(num_heads * (span_of(packed) / width), 256)};
}

const void* table(const at::Tensor& x) { return x.defined() ? x.const_data_ptr() : nullptr; }

}  // namespace

at::Tensor rotate_heads(gpu::Device& device, const at::Tensor& x, const PackedHeads& packed,
                        const Rotary& rotary, bool in_place) {
  if (packed.rotated == 0) return x;
  const at::Tensor y = in_place ? x : at::empty_like(x);
  const std::int64_t rows = x.size(0) * x.size(1), count = in_place ? packed.rotated : packed.heads;
  const int width = vector_width({span_of(packed)});
  gpu::launch(device, rotary_kernel("rotate", packed, width, x.scalar_type()),
              grid_of(rows * count, packed, width), x.const_data_ptr(), y.mutable_data_ptr(),
              table(rotary.cos), table(rotary.sin), rows, x.size(1), count, 1.0f);
  return y;
}

void pack_gradient(gpu::Device& device, const at::Tensor& gradient,
                   const at::Tensor& packed_gradient, const PackedHeads& packed, std::int64_t first,
                   const Rotary& rotary) {
  const std::int64_t length = packed_gradient.size(1), rows = packed_gradient.size(0) * length,
                     count = gradient.size(1);
  const at::Tensor place =
      packed_gradient.view({-1, length, packed.heads, packed.head_dim}).narrow(2, first, count);
  if (gradient.const_data_ptr() == place.const_data_ptr() && first >= packed.rotated) return;
  invariant(gradient.stride(3) == 1, "the elements of a head are contiguous");
  // A dimension of one element may have any stride.
  const auto stride = [&](int dim) { return gradient.size(dim) > 1 ? gradient.stride(dim) : 0; };
  const std::int64_t sequence_stride = stride(0), row_stride = stride(2), head_stride = stride(1);
  const int width = vector_width({span_of(packed), sequence_stride, row_stride, head_stride});
  gpu::launch(device, rotary_kernel("pack_gradient", packed, width, gradient.scalar_type()),
              grid_of(rows * count, packed, width), gradient.const_data_ptr(), sequence_stride,
              row_stride, head_stride, packed_gradient.mutable_data_ptr(), table(rotary.cos),
              table(rotary.sin), rows, length, first, count);
}

}  // namespace sluice::ops
