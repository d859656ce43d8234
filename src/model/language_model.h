// A language model: what training, perplexity and generation need of it.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/architecture.h"
#include "model/batch.h"
#include "model/model_config.h"
#include "ops/context.h"
#include "ops/parameters.h"

namespace sluice::model {

// Sums over the scored targets, in nats times LossScale::scale: float64 scalars on the device.
struct Loss {
  at::Tensor total;          // what training minimises: cross-entropy and z-loss. With gradients enabled, backward() of it adds to the
                             // arena's gradient buffer
  at::Tensor cross_entropy;  // the log-perplexity part, without gradients; the same as `total` where there is no z-loss
};
struct LossScale {
  double scale = 1;   // 1 / targets of the whole step
  double z_loss = 0;  // coefficient of (log Z)² per target (Mesh TensorFlow; de Brébisson & Vincent 2016)
};

class LanguageModel {
 public:
  virtual ~LanguageModel() = default;
  virtual Loss loss(const Batch& batch, const LossScale& scale, const ops::Context& context) const = 0;
  // The cross-entropy of each target, float64 [B, T] on the device, 0 where it is not scored. Without gradients; sums of it are `loss`'s.
  virtual at::Tensor target_nats(const Batch& batch, const ops::Context& context) const = 0;
  // Logits of the first token to follow the inputs, fp32 [B, vocab_size], padded rows of a decoder left out. For generation.
  virtual at::Tensor next_logits(const at::Tensor& inputs_BT, const ops::Context& context) const = 0;
  // Logits of every target, fp32 [B, T, vocab_size]. For tests and tools: memory is B·T·vocab_size. A decoder reads no targets.
  virtual at::Tensor logits(const Batch& batch, const ops::Context& context) const = 0;

  // Generation in two parts. What the model keeps of the inputs: an encoder-decoder its encoder's output, any other the inputs themselves.
  virtual at::Tensor encode(const at::Tensor& inputs_BS, const ops::Context& context) const;
  // Logits of the token that follows `generated` [B, n] (int64, n may be 0), as in next_logits.
  virtual at::Tensor logits_after(const at::Tensor& encoded, const at::Tensor& generated_Bn, const ops::Context& context) const;

  ops::Parameters& parameters() { return parameters_; }
  const ops::Parameters& parameters() const { return parameters_; }

 protected:
  ops::Parameters parameters_;
};

// Declares the model: shapes and names only. The caller allocates and initialises or loads the parameters.
// `vocab_size`: the tokenizer's, sentinels included; `sequences`: the training window, which `position: {type: learned}` stores vectors for.
// kUsage where the configuration makes no model (d_ff mismatch, heads that do not divide, a vocabulary that disagrees, ...).
std::unique_ptr<LanguageModel> make_model(const ModelConfig& config, std::int64_t vocab_size, const Sequences& sequences);

// What `plan`, logs and mfu show. FLOPs per target token of training, what an encoder-decoder does for its inputs included: see flops_formula().
struct Part {
  std::string name;  // "embedding", "attention", "ffn", "norm", "head"
  std::int64_t num_parameters = 0;
  double flops_per_token = 0;  // forward and backward
};
struct ModelSizes {
  std::vector<Part> parts;
  std::int64_t num_parameters = 0;
  std::int64_t num_non_embedding_parameters = 0;  // without token and position embeddings and an untied head
  double flops_per_token = 0;
  double multiply_adds_per_token() const { return flops_per_token / 6; }  // of the forward pass: a third, and a multiply-add is two FLOPs
  std::int64_t d_ff = 0;
  double d_ff_mismatch = 0;  // (parameters of the layer − parameters of the reference) / the latter
};
ModelSizes model_sizes(const ModelConfig& config, std::int64_t vocab_size, const Sequences& sequences);
std::string flops_formula(const ModelConfig& config);

}  // namespace sluice::model
