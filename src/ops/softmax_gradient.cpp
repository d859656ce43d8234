#include "ops/softmax_gradient.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "ops/choose.h"
#include "ops/scalar_math.h"

namespace sluice::ops {
namespace {

struct LossRows {
  std::int64_t rows, vocab_size, columns;
  float scale;
  double z_loss;
  bool with_gradient;
};

struct SoftmaxGradientKernel {
  template <typename T>
  [[gnu::always_inline]] static inline void run(T* logits, const std::int64_t* targets,
                                                double* loss, double* squared_log_z,
                                                LossRows size) {
    for (std::int64_t row = 0; row < size.rows; ++row, logits += size.columns) {
      if (targets[row] >= 0) {
        const double log_z = one_row(logits, targets[row], loss[row], size);
        squared_log_z[row] = log_z * log_z;
        continue;
      }
      loss[row] = squared_log_z[row] = 0;
      for (std::int64_t v = 0; v < size.columns; ++v) store(0.0f, logits[v]);
    }
  }

  template <typename T>
  [[gnu::always_inline]] static inline double one_row(T* __restrict logits, std::int64_t target,
                                                      double& loss, const LossRows& size) {
    float largest = -std::numeric_limits<float>::infinity(), sum = 0;
#pragma omp simd reduction(max : largest)
    for (std::int64_t v = 0; v < size.vocab_size; ++v) largest = std::max(largest, load(logits[v]));
#pragma omp simd reduction(+ : sum)
    for (std::int64_t v = 0; v < size.vocab_size; ++v) sum += fast_exp(load(logits[v]) - largest);
    const double log_sum = std::log(static_cast<double>(sum)),
                 log_z = log_sum + static_cast<double>(largest);
    loss = log_sum + (static_cast<double>(largest) - static_cast<double>(load(logits[target])));
    if (!size.with_gradient) return log_z;
    const auto z_factor = static_cast<float>(1.0 + 2.0 * size.z_loss * log_z);  // 1 without z-loss
    const float factor = z_factor * size.scale / sum,
                probability = z_factor * fast_exp(load(logits[target]) - largest) / sum;
    for (std::int64_t v = 0; v < size.vocab_size; ++v)
      store(fast_exp(load(logits[v]) - largest) * factor, logits[v]);
    store((probability - 1.0f) * size.scale, logits[target]);
    for (std::int64_t v = size.vocab_size; v < size.columns; ++v) store(0.0f, logits[v]);
    return log_z;
  }
};

}  // namespace

void softmax_gradient_cpu(const at::Tensor& logits_RV, const at::Tensor& targets_R,
                          const at::Tensor& loss_2R, const LossSettings& settings) {
  const std::int64_t columns = logits_RV.size(1);
  invariant(loss_2R.stride(1) == 1, "the losses of a chunk are contiguous");
  with_stored_type(logits_RV.scalar_type(), [&](auto type) {
    using T = decltype(type);
    at::parallel_for(0, logits_RV.size(0), 8, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row)
        invariant(read<std::int64_t>(targets_R)[row] < settings.vocab_size,
                  "targets are within the vocabulary");
      const LossRows part{end - begin,     settings.vocab_size,
                          columns,         static_cast<float>(settings.scale),
                          settings.z_loss, settings.with_gradient};
      run_kernel<SoftmaxGradientKernel>(
          write<T>(logits_RV) + begin * columns, read<std::int64_t>(targets_R) + begin,
          write<double>(loss_2R) + begin, write<double>(loss_2R) + loss_2R.stride(0) + begin, part);
    });
  });
}

void softmax_gradient_aten(const at::Tensor& logits_RV, const at::Tensor& targets_R,
                           const at::Tensor& loss_2R, const LossSettings& settings) {
  const at::Tensor used_RV = logits_RV.narrow(1, 0, settings.vocab_size).to(at::kFloat);
  const at::Tensor target_R1 = targets_R.clamp_min(0).unsqueeze(1),
                   scored_R1 = targets_R.ge(0).unsqueeze(1);
  const at::Tensor log_z_R1 = at::logsumexp(used_RV, {1}, true),
                   log_probabilities_RV = used_RV - log_z_R1;
  loss_2R.select(0, 0).copy_(
      at::where(scored_R1, -log_probabilities_RV.gather(1, target_R1), 0.0).squeeze(1));
  loss_2R.select(0, 1).copy_(
      at::where(scored_R1, log_z_R1.to(at::kDouble).square(), 0.0).squeeze(1));
  if (!settings.with_gradient) return;
  const at::Tensor gradient_RV =
      at::exp(log_probabilities_RV).mul_(1.0 + log_z_R1 * (2.0 * settings.z_loss));
  gradient_RV.scatter_add_(1, target_R1,
                           at::full({1, 1}, -1.0, used_RV.options()).expand_as(target_R1));
  logits_RV.zero_();
  logits_RV.narrow(1, 0, settings.vocab_size)
      .copy_(at::where(scored_R1, gradient_RV * settings.scale, 0.0));
}

}  // namespace sluice::ops
