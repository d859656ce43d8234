// Shared by decoder and encoder-decoder: everything after the input of the head.
#pragma once

#include "model/cached_decoding.h"
#include "model/language_model.h"

namespace sluice::model {

// An architecture computes the input of the head; this class derives loss, perplexity and logits.
class TransformerModel : public LanguageModel {
 public:
  Loss loss(const Batch& batch, const LossScale& scale, const ops::Context& context) const final;
  at::Tensor target_nats(const Batch& batch, const ops::Context& context) const final;
  at::Tensor logits(const Batch& batch, const ops::Context& context) const final;
  // With cached keys and values on a CPU (model/cached_decoding.h).
  std::unique_ptr<Decoding> make_decoding(std::int64_t num_sequences,
                                          std::int64_t max_length) const final;

 protected:
  // The head matrix, [rows, d_model], of which the first vocab_size rows are used. Set by the
  // constructor of the architecture.
  struct Head {
    const ops::Weight* weight = nullptr;
    std::int64_t vocab_size = 0;
  };
  // The input of the head for each target of the batch, [B, T, d_model] in the compute dtype.
  virtual at::Tensor hidden_of_targets(const Batch& batch, const ops::Context& context) const = 0;
  // The stacks for generation. `max_length`: of a sequence.
  virtual CachedModel cached(std::int64_t max_length) const = 0;

  Head head_;

 private:
  at::Tensor logits_of(const at::Tensor& hidden, const ops::Context& context) const;
};

}  // namespace sluice::model
