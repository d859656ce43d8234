// Decoding on a CPU with cached keys and values, for all architectures. Internal to model.
#pragma once

#include <deque>
#include <memory>
#include <optional>

#include "model/block.h"
#include "model/decoding.h"
#include "nn/norm.h"
#include "nn/t5_relative.h"

namespace sluice::model {

// A stack of blocks from ids to the output of its final norm; borrowed from a model.
struct StackView {
  const ops::Weight* embedding = nullptr;
  const std::deque<Block>* blocks = nullptr;
  const nn::Norm* final_norm = nullptr;
  at::Tensor position_vectors = {};  // added to the embedding; undefined: none
  ops::Rotary rotary = {};           // undefined: none
  const nn::RelativeBias* bias = nullptr;
};
struct HeadView {
  const ops::Weight* weight = nullptr;
  std::int64_t vocab_size = 0;
  double scale = 1;  // of the input of the head
};

struct CachedModel {
  StackView decoder;
  std::optional<StackView> encoder;
  HeadView head;
};

// Whether this form supports the tensor's device and dtype.
bool can_cache(const ops::Weight& weight);

std::unique_ptr<Decoding> make_cached_decoding(const CachedModel& model, std::int64_t num_sequences,
                                               std::int64_t max_length);

}  // namespace sluice::model
