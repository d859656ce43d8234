// Incremental generation and scoring: the state of several sequences that a model reads token by
// token. LanguageModel::make_decoding() creates it.
//
// The logits of a sequence depend only on the model and on its own ids (and encoder input): not on
// the other sequences, not on how its ids are divided into calls. On a CPU this holds bit for bit,
// in fp32 and bf16, with the same build, CPU features and any number of threads: the forms of
// ops/rows.h compute each row by itself, and the keys and values of earlier tokens are cached. In
// bf16 only the weights are rounded, so logits are closer to fp32 than those of training. On other
// devices nothing is cached and every call reads the whole sequence again with the training's
// forms, whose results there may depend on the length.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "ops/context.h"

namespace sluice::model {

class LanguageModel;

// Ids that a sequence reads next, at least one.
struct Feed {
  std::int64_t sequence = 0;  // a sequence occurs once per call
  std::span<const std::int32_t> ids;
  bool every_position = false;  // return logits after each id instead of after the last one
};

class Decoding {
 public:
  virtual ~Decoding() = default;
  // Forgets the sequence. `inputs`: ids for the encoder; for a decoder, none. An encoder-decoder
  // then reads its start token (LanguageModel::start_id) like any other id.
  virtual void start(std::int64_t sequence, std::span<const std::int32_t> inputs) = 0;
  // Logits of the tokens that follow, fp32 [rows, vocab_size] on the CPU, in the order of the feeds
  // and of their ids. InvariantError for an id outside the vocabulary or more than max_length ids.
  virtual at::Tensor append(std::span<const Feed> feeds) = 0;
  // Number of ids read since start().
  virtual std::int64_t length(std::int64_t sequence) const = 0;
};

// The form without a cache, for any device and model.
std::unique_ptr<Decoding> make_recomputed_decoding(const LanguageModel& model,
                                                   std::int64_t num_sequences,
                                                   const ops::Context& context);

}  // namespace sluice::model
