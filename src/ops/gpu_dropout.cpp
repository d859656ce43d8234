// Shapes: B rows of the micro-batch.
#include "ops/gpu_dropout.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "base/random.h"
#include "base/text_format.h"
#include "ops/gpu_launch.h"

namespace sluice::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr gpu::Program kDropoutProgram{"ops/dropout.cu", &kernel_texts};

gpu::Kernel dropout_kernel(const char* entry, at::ScalarType element) {
  return {&kDropoutProgram, cat("using Element = ", element_name(element), ";\n"), entry};
}

struct Masked {
  gpu::Device& device;
  DropoutMask mask;
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& keys_B) const {
    const at::Tensor y = at::empty_like(x);
    const std::int64_t rows = x.size(0), elements = x.numel() / rows;
    gpu::launch(device, dropout_kernel("dropout", x.scalar_type()),
                {.x = blocks_for(blocks_for(elements, 64) * 16, 256), .y = rows},
                x.const_data_ptr(), y.mutable_data_ptr(), keys_B.const_data_ptr(),
                static_cast<std::int64_t>(mask.threshold), static_cast<float>(mask.keep_scale),
                elements);
    return y;
  }
};

// Backward recomputes the mask from the keys.
struct GpuDropout : torch::autograd::Function<GpuDropout> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& keys_B,
                            const DropoutMask& mask, gpu::Device* device) {
    ctx->saved_data["keys"] = keys_B;
    ctx->saved_data["threshold"] = static_cast<std::int64_t>(mask.threshold);
    ctx->saved_data["keep_scale"] = mask.keep_scale;
    ctx->saved_data["device"] = reinterpret_cast<std::int64_t>(device);
    return Masked{*device, mask}(x.contiguous(), keys_B);
  }
  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const DropoutMask mask{static_cast<std::uint32_t>(ctx->saved_data["threshold"].toInt()),
                           ctx->saved_data["keep_scale"].toDouble()};
    auto* device = reinterpret_cast<gpu::Device*>(ctx->saved_data["device"].toInt());
    return {Masked{*device, mask}(gradients[0].contiguous(), ctx->saved_data["keys"].toTensor()),
            at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor gpu_dropout_keys(std::int64_t rows, std::uint64_t site, const Context& context,
                            const at::Tensor& like) {
  const auto options = like.options().dtype(at::kLong).requires_grad(false);
  const at::Tensor step = context.device_step.defined()
                              ? context.device_step
                              : at::full({}, static_cast<std::int64_t>(context.step), options);
  const at::Tensor keys_B = at::empty({rows}, options);
  gpu::launch(*context.gpu, dropout_kernel("dropout_keys", like.scalar_type()),
              {.x = blocks_for(rows, 256)}, step.const_data_ptr(), keys_B.mutable_data_ptr(),
              static_cast<std::int64_t>(purpose_key(context.seed, "dropout")), context.first_sample,
              static_cast<std::int64_t>(site), rows);
  return keys_B;
}

at::Tensor gpu_dropout(const at::Tensor& x, const DropoutMask& mask, std::uint64_t site,
                       const Context& context) {
  return GpuDropout::apply(x, gpu_dropout_keys(x.size(0), site, context, x), mask, context.gpu);
}

}  // namespace sluice::ops
