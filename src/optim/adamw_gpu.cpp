#include "optim/adamw_gpu.h"

#include "optim/gpu_tables.h"
#include "optim/pieces.h"

namespace sluice::optim {
namespace {

constexpr gpu::Program kAdamWProgram{"optim/adamw.cu", &kernel_texts};

gpu::Kernel adamw_kernel(const char* entry) { return {&kAdamWProgram, "", entry}; }

}  // namespace

AdamWGpu::AdamWGpu(gpu::Device& device, const AdamWConfig& config, ops::Parameters& parameters,
                   const std::vector<Segment>& segments)
    : device_(device), parameters_(parameters), scale_by_rms_(config.scale_by_rms) {
  std::vector<AdamWGpuPiece> pieces;
  std::vector<AdamWGpuSegment> rows;
  for (const Segment& segment : segments) {
    const auto number = static_cast<long long>(rows.size()),
               first = static_cast<long long>(pieces.size());
    for_each_piece(segment.begin, segment.end, kGpuPiece,
                   [&](std::int64_t begin, std::int64_t end) {
                     pieces.push_back({begin, end, number, segment.decay ? 1 : 0});
                   });
    rows.push_back(
        {segment.end - segment.begin, first, static_cast<long long>(pieces.size()) - first});
  }
  num_pieces_ = static_cast<std::int64_t>(pieces.size());
  num_segments_ = static_cast<std::int64_t>(rows.size());

  const at::Device memory = parameters.master().device();
  constants_ = table_of<AdamWConstants>({{.clip_norm = config.clip_norm,
                                          .max_norm = std::numeric_limits<double>::infinity(),
                                          .beta1 = config.betas[0],
                                          .beta2 = config.betas[1],
                                          .eps = config.eps,
                                          .weight_decay = config.weight_decay,
                                          .scale_by_rms = config.scale_by_rms ? 1.0 : 0.0}},
                                        memory);
  pieces_ = table_of(pieces, memory);
  coefficients_ = table_for<AdamWGpuCoefficients>(1, memory);
  const at::TensorOptions options = at::TensorOptions().device(memory);
  gradient_squares_ = at::zeros({num_pieces_}, options.dtype(at::kDouble));
  if (!scale_by_rms_) return;
  segments_ = table_of(rows, memory);
  weight_squares_ = at::zeros({num_pieces_}, options.dtype(at::kDouble));
  step_sizes_ = at::zeros({num_segments_}, options.dtype(at::kFloat));
}

void AdamWGpu::launch(const GpuUpdate& update, const at::Tensor& exp_avg,
                      const at::Tensor& exp_avg_sq) {
  const gpu::Grid per_piece{.x = num_pieces_, .threads = kGpuThreads};
  const void* weight = parameters_.master().const_data_ptr();
  const void* gradient = parameters_.gradient().const_data_ptr();
  const void* weight_squares = scale_by_rms_ ? weight_squares_.const_data_ptr() : nullptr;
  const void* step_sizes = scale_by_rms_ ? step_sizes_.const_data_ptr() : nullptr;
  gpu::launch(device_, adamw_kernel("squares"), per_piece, pieces_.const_data_ptr(), gradient,
              weight, gradient_squares_.const_data_ptr(), weight_squares);
  gpu::launch(device_, adamw_kernel("prepare"), {.threads = kGpuPrepareThreads},
              constants_.const_data_ptr(), gradient_squares_.const_data_ptr(), num_pieces_,
              scalar_pointer(update.lr), scalar_pointer(update.loss),
              scalar_pointer(update.loss_limit), scalar_pointer(update.norm_limit),
              scalar_pointer(update.num_updates), scalar_pointer(update.grad_norm),
              update.applied.const_data_ptr(), coefficients_.const_data_ptr());
  if (scale_by_rms_)
    gpu::launch(device_, adamw_kernel("scales"), {.x = num_segments_, .threads = kGpuThreads},
                segments_.const_data_ptr(), coefficients_.const_data_ptr(), weight_squares,
                step_sizes);
  gpu::launch(device_, adamw_kernel("step"), per_piece, pieces_.const_data_ptr(),
              coefficients_.const_data_ptr(), step_sizes, weight, gradient,
              exp_avg.const_data_ptr(), exp_avg_sq.const_data_ptr(), compute_copy_of(parameters_));
}

}  // namespace sluice::optim
