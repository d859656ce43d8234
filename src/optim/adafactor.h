// Adafactor (Shazeer & Stern 2018, arXiv 1804.04235) without momentum, as T5 and "GLU Variants
// Improve Transformer" use it. For each logical matrix or vector θ with gradient g, t counting
// applied updates from 0, and β = 1 − (t + 1)^-decay_rate:
//   matrices whose smaller dimension is at least factored_min_dim:
//     r = β r + (1 − β) (mean of g² over each row + eps)
//     c = β c + (1 − β) (mean of g² over each column + eps)
//     u = g · rsqrt(r / mean(r)) · rsqrt(c)
//   everything else:
//     v = β v + (1 − β) (g² + eps)
//     u = g · rsqrt(v)
//   θ = θ − lr · max(min_scale, rms(θ)) · u / max(1, rms(u) / clip_update)
// Each logical matrix has its own statistics, even if several share a slot (q, k, v). Padded rows
// are excluded. Embeddings are treated like other matrices. Clipping by the global norm is off by
// default.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "ops/context.h"
#include "optim/adafactor_kernels.h"
#include "optim/optimizer.h"

namespace sluice::optim {

class AdafactorGpu;  // optim/adafactor_gpu.h

// Squaring a larger norm overflows fp32, and a statistic never recovers from infinity.
constexpr double kMaxNorm = 1e18;

// Whether the parameter keeps row and column means instead of every second moment.
bool is_factored(const AdafactorConfig& config, const ops::ParameterSpec& spec);

// One parameter in plain ATen calls: the reference form, for any device and floating-point type
// (tests use float64).
struct AdafactorTensors {
  at::Tensor weight, gradient;  // weight is updated in place
  at::Tensor row, column;       // statistics of a factored matrix; otherwise undefined
  at::Tensor full;              // statistic of any other parameter; otherwise undefined
};
// Shared by all parameters of an update: float64 device scalars; `applied` is bool. If false,
// weights and statistics do not change.
struct AdafactorScalars {
  at::Tensor lr, one_minus_beta, clip, applied;
};
void adafactor_step(const AdafactorConfig& config, const AdafactorScalars& scalars,
                    const AdafactorTensors& tensors);

class Adafactor final : public Optimizer {
 public:
  // See Optimizer. The kernels for CPUs and GPUs take three passes over the arena.
  Adafactor(const AdafactorConfig& config, ops::Parameters& parameters,
            ops::Form form = ops::Form::kFastest, gpu::Device* device = nullptr,
            Shards shards = {});
  ~Adafactor() override;

 private:
  // One logical parameter. Vectors and unfactored matrices count as one row.
  struct Part {
    const ops::ParameterSpec* spec = nullptr;
    bool factored = false;
    std::int64_t offset = 0;  // in the arena
    std::int64_t rows = 1, columns = 0;
    at::Tensor row, column, full;  // as in AdafactorTensors; views of statistics_
    std::size_t first_piece = 0, end_piece = 0;
    std::int64_t row_at = 0, column_at = 0;  // in row_sums_ and row_factors_; in column_factors_
  };
  struct Piece {
    std::size_t part = 0;
    std::int64_t begin = 0, end = 0;  // rows of a factored matrix, else elements
    std::int64_t columns_at = 0;      // in column_sums_
  };
  void add_part(const ops::Parameters::Declared& parameter, std::int64_t& statistics_at);
  std::vector<double> gradient_squares() override;
  std::vector<std::int64_t> piece_begins() const override;
  void apply(double lr, double clip, double num_updates) override;
  void launch(const GpuUpdate& update) override;
  void apply_masked(const MaskedStep& step) override;
  std::vector<State> moments() override;
  void measure(const Piece& piece, std::size_t i);
  void update_factored_statistics(const Part& part, double beta, double clip);
  FactoredRows rows_of(const Piece& piece);
  FullPiece elements_of(const Piece& piece);
  double step_of(const Part& part, double lr) const;

  AdafactorConfig config_;
  at::Tensor statistics_;      // fp32
  std::vector<Part> parts_;    // of the own part of the arena
  std::vector<Piece> pieces_;  // the unit of work and of summation
  // Buffers of the kernels for CPUs: sums of g² by row and by column of each piece, sums of squares
  // by piece, and the factors of rows and columns that multiply the gradient.
  std::vector<double> row_sums_, column_sums_, gradient_squares_, weight_squares_, update_squares_;
  std::vector<float> row_factors_, column_factors_;
  std::unique_ptr<AdafactorGpu> gpu_;
};

std::unique_ptr<Optimizer> make(const AdafactorConfig& config, ops::Parameters& parameters,
                                gpu::Device* device, Shards shards);
StateSize state_size_of(const AdafactorConfig& config, const ops::Parameters& parameters,
                        const std::vector<ArenaRange>& part);
std::vector<std::int64_t> cuts_of(const AdafactorConfig& config, const ops::Parameters& parameters);

}  // namespace sluice::optim
