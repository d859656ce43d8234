// AdamW (Loshchilov & Hutter 2019, algorithm 2) over the parameter arena. With g the clipped
// gradient and n counting applied updates:
//   m = β1 m + (1 − β1) g          v = β2 v + (1 − β2) g²
//   w = w − lr·weight_decay·w − lr / (1 − β1ⁿ) · m / (sqrt(v) / sqrt(1 − β2ⁿ) + eps)
// With scale_by_rms it is the AdamWScale of nanoT5 (Nawrot 2023, nanoT5/utils/copied_utils.py in
// github.com/PiotrNawrot/nanoT5), after Adafactor:
//   w = w − lr·weight_decay·w
//         − max(1e-3, rms(w)) · lr·sqrt(1 − β2ⁿ) / (1 − β1ⁿ) · m / (sqrt(v) + eps)
// with rms(w) over one logical matrix or vector before the update. As in nanoT5, eps is added
// before the bias correction (like the first version of Adam), and the decay is not scaled by
// rms(w). Unlike nanoT5, the decay uses w before the update (no difference without decay).
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "ops/context.h"
#include "optim/adamw_kernels.h"
#include "optim/optimizer.h"

namespace sluice::optim {

class AdamWGpu;  // optim/adamw_gpu.h

// A range of the arena whose weights all decay or all do not. Gaps and padded rows belong to the
// preceding parameter: they are zero, have no gradient, and stay zero.
struct Segment {
  std::int64_t begin = 0, end = 0;
  bool decay = false;
};
std::vector<Segment> decay_segments(const ops::Parameters& parameters);
// One segment per logical parameter, without gaps and padded rows.
std::vector<Segment> parameter_segments(const ops::Parameters& parameters);

// Factors of one step, without scale_by_rms. `decay`: weight decay applies.
AdamWCoefficients adamw_coefficients(const AdamWConfig& config, double lr, double clip,
                                     double num_updates, bool decay);

class AdamW final : public Optimizer {
 public:
  // See Optimizer. The kernels for CPUs and GPUs update in one pass over the arena.
  AdamW(const AdamWConfig& config, ops::Parameters& parameters,
        ops::Form form = ops::Form::kFastest, gpu::Device* device = nullptr, Shards shards = {});
  ~AdamW() override;

 private:
  struct Piece {
    std::int64_t begin = 0, end = 0;
    std::size_t segment = 0;
    std::int64_t state_at = 0;  // in exp_avg_ and exp_avg_sq_
  };
  std::vector<double> gradient_squares() override;
  std::vector<std::int64_t> piece_begins() const override;
  void apply(double lr, double clip, double num_updates) override;
  void launch(const GpuUpdate& update) override;
  void apply_masked(const MaskedStep& step) override;
  std::vector<State> moments() override;
  std::vector<double> squares_of_pieces(const float* flat) const;
  std::vector<AdamWCoefficients> segment_coefficients(double lr, double clip,
                                                      double num_updates) const;

  AdamWConfig config_;
  std::vector<Segment> segments_;  // one AdamWCoefficients each; together they cover all parameters
  std::vector<Piece> pieces_;      // the segments of the own part, divided into pieces
  at::Tensor exp_avg_, exp_avg_sq_;  // fp32, laid out as the own part of the arena
  std::unique_ptr<AdamWGpu> gpu_;
};

std::unique_ptr<Optimizer> make(const AdamWConfig& config, ops::Parameters& parameters,
                                gpu::Device* device, Shards shards);
StateSize state_size_of(const AdamWConfig& config, const ops::Parameters& parameters,
                        const std::vector<ArenaRange>& part);
std::vector<std::int64_t> cuts_of(const AdamWConfig& config, const ops::Parameters& parameters);

}  // namespace sluice::optim
