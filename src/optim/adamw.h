// AdamW (Loshchilov & Hutter 2019, algorithm 2) over the parameter arena. With g the clipped gradient and n counting applied updates:
//   m = β1 m + (1 − β1) g          v = β2 v + (1 − β2) g²
//   w = w − lr·weight_decay·w − lr / (1 − β1ⁿ) · m / (sqrt(v) / sqrt(1 − β2ⁿ) + eps)
// Clipping (Pascanu et al. 2013): g = gradient · min(1, clip_norm / norm), norm over all parameters.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "ops/context.h"
#include "optim/optimizer.h"

namespace sluice::optim {

// A piece of the arena in which either everything decays or nothing does. Gaps and padded rows belong to the parameter before them:
// they are zero, have no gradient, and stay zero.
struct Segment {
  std::int64_t begin = 0, end = 0;
  bool decay = false;
};
std::vector<Segment> decay_segments(const ops::Parameters& parameters);

class AdamW final : public Optimizer {
 public:
  // kFastest: on a CPU one fused pass over the arena; kReference, and other devices: plain ATen calls.
  AdamW(const AdamWConfig& config, ops::Parameters& parameters, ops::Form form = ops::Form::kFastest);
  UpdateReport update(const Update& update) override;
  std::vector<State> state() override;

 private:
  UpdateReport update_fused(const Update& update);
  UpdateReport update_with_aten(const Update& update);

  AdamWConfig config_;
  ops::Parameters& parameters_;
  bool fused_;
  std::vector<Segment> segments_;    // cover the arena
  std::vector<Segment> pieces_;      // the same in pieces of a fixed size, the unit of work and of summation
  at::Tensor exp_avg_, exp_avg_sq_;  // fp32, laid out as the arena
  at::Tensor num_updates_;           // float64
};

}  // namespace sluice::optim
