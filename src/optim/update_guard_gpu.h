// The update guard (optim/update_guard.h) for kernels. Part of the kernel texts.
#pragma once

#include "gpu/kernel.h"

namespace sluice::optim {

// Device scalars of an update; a limit may be null.
struct GuardInputs {
  const double *loss, *loss_limit, *norm_limit;
};

struct Guard {
  double norm, clip;
  bool applied;
};

// Called by one block of kThreads threads; all of them get the result.
template <int kThreads>
inline Guard guard_of(const GuardInputs& inputs, const double* squares, i64 count, double clip_norm,
                      double max_norm) {
  double sum = 0;
  for (i64 i = gpu::thread(); i < count; i += kThreads) sum += squares[i];
  const double norm = sqrt(gpu::block_sum<kThreads>(sum)), loss = *inputs.loss;
  const double clip = clip_norm > 0 && norm > clip_norm ? clip_norm / norm : 1.0;
  const bool within = (inputs.loss_limit == nullptr || loss <= *inputs.loss_limit) &&
                      (inputs.norm_limit == nullptr || norm <= *inputs.norm_limit);
  return {norm, clip, isfinite(loss) && isfinite(norm) && within && norm * clip <= max_norm};
}

// Writes the results of an update and counts it. Returns whether it is applied; called by one
// thread.
inline bool begin_update(const Guard& guard, double* grad_norm, bool* applied,
                         double* num_updates) {
  *grad_norm = guard.norm;
  *applied = guard.applied;
  if (guard.applied) *num_updates += 1;
  return guard.applied;
}

}  // namespace sluice::optim
