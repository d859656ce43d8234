// Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/; Liu et al. 2025, "Muon is
// Scalable for LLM Training", arXiv 2502.16982, sections 2.1 and 2.2). For each matrix W [rows,
// columns] of an attention or feed-forward layer, with clipped gradient G:
//   M = momentum M + (1 − momentum) G
//   U = momentum M + (1 − momentum) G with nesterov, else M
//   W = W − lr·weight_decay·W − lr·scale·O,  O = orthogonalize(U)
//   scale = 0.2·sqrt(max(rows, columns))     match_rms_adamw (2502.16982, section 2.2)
//         = sqrt(max(1, rows / columns))     original (Jordan et al.)
// orthogonalize(U) approximates the orthogonal factor of U's polar decomposition by Newton-Schulz:
//   X = U / max(‖U‖, 1e-7) (Frobenius norm), transposed if rows > columns; then repeatedly
//   A = X Xᵀ,  X = 3.4445 X + (−4.7750 A + 2.0315 A²) X
// which takes singular values to about 0.7 .. 1.2, not to 1. M, U and ‖U‖ are fp32 or better; X, A
// and −4.7750 A + 2.0315 A² are rounded to newton_schulz_type, with sums in fp32. CPUs without bf16
// instructions multiply the rounded values in fp32: products of bf16 numbers are exact there, so
// only the order of sums differs, and emulated bf16 products would take twenty times as long. The
// choice is a CPU feature, which is part of what an exact resume requires (src/README.md).
//
// Each logical matrix is orthogonalized by itself, also if several share a slot: q, k and v (all
// heads of one together), and w and v of a gated layer. AdamW (optim/adamw.h) trains everything
// else with adamw_lr_factor·lr: embeddings, learned positions, output matrix, norms, biases and
// other vectors.
#pragma once

#include <cstdint>
#include <vector>

#include "ops/context.h"
#include "optim/adamw.h"
#include "optim/optimizer.h"

namespace sluice::optim {

// Whether Muon's own rule trains the parameter; otherwise AdamW does.
bool is_hidden_matrix(const ops::ParameterSpec& spec);

// orthogonalize() above; returns the type of `update_RC`. kFp32: rounds to that type (tests use
// float64). `bf16_products`: for kBf16, the device multiplies bf16 tensors; otherwise fp32 ones.
at::Tensor orthogonalize(const at::Tensor& update_RC, std::int64_t num_steps, NewtonSchulzType type,
                         bool bf16_products = true);

// One hidden matrix in plain ATen calls, for any device and floating-point type.
struct MuonTensors {
  at::Tensor weight, gradient, momentum;  // weight and momentum are updated in place
};
// float64 device scalars; `applied` is bool. If false, nothing changes.
struct MuonScalars {
  at::Tensor lr, clip, applied;
};
void muon_step(const MuonConfig& config, const MuonScalars& scalars, const MuonTensors& tensors);

class Muon final : public Optimizer {
 public:
  // See Optimizer. On CPUs each matrix is updated by one thread, so that results do not depend on
  // the number of threads; on GPUs the update runs as ATen calls.
  Muon(const MuonConfig& config, ops::Parameters& parameters, ops::Form form = ops::Form::kFastest,
       Shards shards = {});

 private:
  struct Part {
    ops::Parameters::Named parameter;
    at::Tensor momentum;             // of a hidden matrix; otherwise undefined
    at::Tensor exp_avg, exp_avg_sq;  // of any other parameter; otherwise undefined
  };
  struct Piece {  // elements begin .. end - 1 of a part
    const Part* part;
    std::int64_t begin = 0, end = 0;
  };
  std::vector<double> gradient_squares() override;
  std::vector<std::int64_t> piece_begins() const override;
  void apply(double lr, double clip, double num_updates) override;
  void apply_masked(const MaskedStep& step) override;
  std::vector<State> moments() override;
  void apply_adamw(const Piece& piece, const AdamWCoefficients& coefficients);

  MuonConfig config_;
  AdamWConfig adamw_;
  std::vector<Part> parts_;            // of the own part of the arena
  std::vector<const Part*> matrices_;  // the hidden matrices of parts_
  std::vector<Piece> pieces_, rest_;   // of all parts; of those that AdamW trains
};

// `device` is not used: there are no kernels for GPUs.
std::unique_ptr<Optimizer> make(const MuonConfig& config, ops::Parameters& parameters,
                                gpu::Device* device, Shards shards);
StateSize state_size_of(const MuonConfig& config, const ops::Parameters& parameters,
                        const std::vector<ArenaRange>& part);
std::vector<std::int64_t> cuts_of(const MuonConfig& config, const ops::Parameters& parameters);

}  // namespace sluice::optim
