#include "ops/gpu_activation.h"

#include <ATen/ATen.h>

#include "base/text_format.h"
#include "ops/gpu_launch.h"

namespace sluice::ops {
namespace {

constexpr gpu::Program kActivationProgram{"ops/activation.cu", &kernel_texts};

}  // namespace

void GpuActivation::launch(const char* entry, const at::Tensor& x,
                           std::initializer_list<const void*> pointers) const {
  const std::int64_t columns = gated ? x.size(-1) / 2 : x.size(-1),
                     rows = columns == 0 ? 0 : x.numel() / x.size(-1);
  const int width = vector_width({columns});
  const gpu::Kernel kernel{&kActivationProgram,
                           cat("using Function = sluice::ops::", type,
                               ";\nusing Element = ", element_name(x.scalar_type()),
                               ";\nconstexpr int columns = ", columns, ", width = ", width, ";\n"),
                           cat(gated ? "gated" : "plain", entry)};
  const gpu::Grid grid{.x = blocks_for(rows * (columns / width), 256)};
  const auto* p = pointers.begin();
  if (pointers.size() == 2) return gpu::launch(device, kernel, grid, p[0], p[1], rows);
  gpu::launch(device, kernel, grid, p[0], p[1], p[2], p[3], rows);
}

at::Tensor GpuActivation::forward(const at::Tensor& x) const {
  std::vector<std::int64_t> shape = x.sizes().vec();
  if (gated) shape.back() /= 2;
  const at::Tensor y = at::empty(shape, x.options());
  launch("", x, {x.const_data_ptr(), y.mutable_data_ptr()});
  return y;
}

at::Tensor GpuActivation::backward(const at::Tensor& x, const at::Tensor& dy,
                                   const at::Tensor& y) const {
  const at::Tensor dx = at::empty_like(x);
  launch("_backward", x,
         {x.const_data_ptr(), dy.const_data_ptr(), dx.mutable_data_ptr(),
          y.defined() ? y.mutable_data_ptr() : nullptr});
  return dx;
}

}  // namespace sluice::ops
