// The language model interface for training, evaluation and generation.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/architecture.h"
#include "model/batch.h"
#include "model/decoding.h"
#include "model/model_config.h"
#include "ops/context.h"
#include "ops/parameters.h"

namespace sluice::model {

// Sums over the scored targets, in nats times LossScale::scale: float64 scalars on the device.
struct Loss {
  // The training objective: cross-entropy and z-loss. Its backward() adds to the arena's gradients.
  at::Tensor total;
  at::Tensor cross_entropy;  // without gradients; equal to `total` if there is no z-loss
};
struct LossScale {
  double scale = 1;  // 1 / number of targets in the step
  // coefficient of (log Z)² per target (Mesh TensorFlow; de Brébisson & Vincent 2016)
  double z_loss = 0;
  at::Tensor device_scale = {};  // see ops::LossTerms
};

class LanguageModel {
 public:
  virtual ~LanguageModel() = default;
  virtual Loss loss(const Batch& batch, const LossScale& scale,
                    const ops::Context& context) const = 0;
  // The cross-entropy of each target, float64 [B, T] on the device, 0 for unscored targets. Without
  // gradients; sums to `loss`.
  virtual at::Tensor target_nats(const Batch& batch, const ops::Context& context) const = 0;
  // Logits of every target, fp32 [B, T, vocab_size], without padded decoder rows. For tests and
  // tools, since the tensor is large. A decoder ignores the targets.
  virtual at::Tensor logits(const Batch& batch, const ops::Context& context) const = 0;

  // The encoder's output in the compute dtype, [B, S, d_model]. InvariantError without an encoder.
  virtual at::Tensor encode(const at::Tensor& inputs_BS, const ops::Context& context) const;

  // Reads `num_sequences` sequences of at most `max_length` ids each; refers to this model, whose
  // parameters must not change meanwhile. InvariantError if learned positions are fewer.
  virtual std::unique_ptr<Decoding> make_decoding(std::int64_t num_sequences,
                                                  std::int64_t max_length) const;
  // The decoder's first input; a decoder-only model has none.
  virtual std::optional<std::int32_t> start_id() const { return std::nullopt; }

  // Disjoint parts of the arena in the order in which a backward pass completes their gradients;
  // it tells of each (ops::Context::on_final_gradients). The gradients of the rest, such as a tied
  // embedding, are final at its end. A forward pass computes them in the opposite order
  // (before_section); the weights of a section are used only from then on.
  virtual std::vector<ops::ArenaRange> gradient_sections() const { return {}; }

  ops::Parameters& parameters() { return parameters_; }
  const ops::Parameters& parameters() const { return parameters_; }

 protected:
  ops::Parameters parameters_;
};

// Declares the model (shapes and names only); the caller allocates the parameters and initializes
// or loads them. `vocab_size`: of the tokenizer, including sentinels. `sequences`: the training
// window, which determines the number of learned positions. kUsage if the configuration is invalid
// (d_ff mismatch, indivisible heads, wrong vocabulary size, ...).
std::unique_ptr<LanguageModel> make_model(const ModelConfig& config, std::int64_t vocab_size,
                                          const Sequences& sequences);

// Sizes for `plan`, logs and mfu. FLOPs are per target token of training, including the encoder's
// work on the inputs; see flops_formula().
struct Part {
  std::string name;  // "embedding", "attention", "ffn", "norm", "head"
  std::int64_t num_parameters = 0;
  double flops_per_token = 0;  // forward and backward
};
struct ModelSizes {
  std::vector<Part> parts;
  std::int64_t num_parameters = 0;
  // without token embedding, position embedding and untied head
  std::int64_t num_non_embedding_parameters = 0;
  double flops_per_token = 0;
  // forward pass: one third of the FLOPs, two FLOPs per multiply-add
  double multiply_adds_per_token() const { return flops_per_token / 6; }
  std::int64_t d_ff = 0;
  double d_ff_mismatch = 0;  // see nn::WidthMatch::mismatch
};
ModelSizes model_sizes(const ModelConfig& config, std::int64_t vocab_size,
                       const Sequences& sequences);
std::string flops_formula(const ModelConfig& config);

}  // namespace sluice::model
