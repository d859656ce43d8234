#include <ATen/ATen.h>

#include "base/error.h"
#include "base/text_format.h"
#include "ops/gpu_launch.h"
#include "ops/softmax_gradient.h"

namespace sluice::ops {
namespace {

constexpr gpu::Program kSoftmaxProgram{"ops/softmax_gradient.cu", &kernel_texts};
constexpr std::int64_t kGroupBytes = 16;
// Groups of a row that a thread can keep in registers, four each.
constexpr std::int64_t kMaxKeptGroups = 16;

std::int64_t threads_for(std::int64_t groups) {
  return groups >= 4096 ? 512 : groups >= 512 ? 256 : 128;
}

}  // namespace

std::int64_t row_stride_for(std::int64_t columns) { return (columns + 7) / 8 * 8; }

void softmax_gradient_gpu(gpu::Device& device, const at::Tensor& logits_RV,
                          const at::Tensor& targets_R, const at::Tensor& loss_2R,
                          const LossSettings& settings) {
  const std::int64_t stride = row_stride_for(logits_RV.size(1));
  invariant(logits_RV.stride(0) == stride && logits_RV.stride(1) == 1,
            "rows of logits are aligned to 16 bytes");
  invariant(loss_2R.stride(1) == 1, "the losses of a chunk are contiguous");
  const auto element_bytes = static_cast<std::int64_t>(logits_RV.element_size());
  const std::int64_t groups = stride * element_bytes / kGroupBytes, threads = threads_for(groups);
  const gpu::Kernel kernel{
      &kSoftmaxProgram,
      cat("using Element = ", element_name(logits_RV.scalar_type()),
          ";\nconstexpr int vocab_size = ", settings.vocab_size, ", stride = ", stride,
          ", threads = ", threads, ";\nconstexpr bool in_registers = ",
          groups <= kMaxKeptGroups * threads, ", with_gradient = ", settings.with_gradient, ";\n"),
      "softmax_gradient"};
  const at::Tensor squares_R = loss_2R.select(0, 1);
  gpu::launch(device, kernel, {.x = logits_RV.size(0), .threads = threads},
              logits_RV.mutable_data_ptr(), targets_R.const_data_ptr(), loss_2R.mutable_data_ptr(),
              squares_R.mutable_data_ptr(), settings.device_scale.const_data_ptr(), settings.z_loss,
              logits_RV.size(0));
}

}  // namespace sluice::ops
