// Shapes: S learned scalars, P blocks of the backward pass.
#include "ops/gpu_activation.h"

#include <ATen/ATen.h>

#include "base/text_format.h"
#include "ops/choose.h"
#include "ops/gpu_launch.h"

namespace sluice::ops {
namespace {

constexpr gpu::Program kActivationProgram{"ops/activation.cu", &kernel_texts};
constexpr gpu::Program kPolyNormProgram{"ops/poly_norm.cu", &kernel_texts};

const void* scalars_pointer(const at::Tensor& x) {
  return x.defined() ? x.const_data_ptr() : nullptr;
}

}  // namespace

std::int64_t GpuActivation::columns_of(const at::Tensor& x) const {
  return gated ? x.size(-1) / 2 : x.size(-1);
}

std::int64_t GpuActivation::rows_of(const at::Tensor& x) const {
  return x.size(-1) == 0 ? 0 : x.numel() / x.size(-1);
}

gpu::Kernel GpuActivation::kernel(const at::Tensor& x, const std::string& entry) const {
  const std::int64_t columns = columns_of(x);
  return {f.is_rowwise ? &kPolyNormProgram : &kActivationProgram,
          cat("using Function = sluice::ops::", f.type,
              ";\nusing Element = ", element_name(x.scalar_type()),
              ";\nconstexpr int columns = ", columns, ", width = ", vector_width({columns}), ";\n"),
          entry};
}

// A block takes a row of a row-wise function, otherwise 256 vectors.
gpu::Grid GpuActivation::grid(const at::Tensor& x) const {
  const std::int64_t columns = columns_of(x);
  return {.x = f.is_rowwise ? rows_of(x)
                            : blocks_for(rows_of(x) * (columns / vector_width({columns})), 256)};
}

at::Tensor GpuActivation::forward(const at::Tensor& x) const {
  std::vector<std::int64_t> shape = x.sizes().vec();
  shape.back() = columns_of(x);
  const at::Tensor y = at::empty(shape, x.options());
  gpu::launch(device, kernel(x, gated ? "gated" : "plain"), grid(x), x.const_data_ptr(),
              y.mutable_data_ptr(), scalars_pointer(scalars), rows_of(x));
  return y;
}

at::Tensor GpuActivation::backward(const at::Tensor& x, const at::Tensor& dy,
                                   const at::Tensor& y) const {
  const at::Tensor dx = at::empty_like(x);
  const gpu::Grid blocks = grid(x);
  const at::Tensor partial_SP =
      scalars.defined() ? at::empty({scalars.numel(), blocks.x}, x.options().dtype(at::kFloat))
                        : at::Tensor();
  gpu::launch(device, kernel(x, gated ? "gated_backward" : "plain_backward"), blocks,
              x.const_data_ptr(), dy.const_data_ptr(), dx.mutable_data_ptr(),
              y.defined() ? y.mutable_data_ptr() : nullptr, scalars_pointer(scalars),
              partial_SP.defined() ? partial_SP.mutable_data_ptr() : nullptr, rows_of(x));
  if (scalars.defined() && scalars.requires_grad())
    gpu::launch(device, kernel(x, "add_scalar_gradients"), {.x = scalars.numel()},
                partial_SP.const_data_ptr(), gradient_of(scalars).mutable_data_ptr(), blocks.x);
  return dx;
}

}  // namespace sluice::ops
