// Shapes: N rows, D d_model, S encoder inputs.
#include "model/cached_decoding.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "base/error.h"
#include "ops/choose.h"

namespace sluice::model {
namespace {

// Rows computed together. More save nothing, since the weights are then read from the cache of the
// processor, and need more memory.
constexpr std::size_t kMostRows = 128;
constexpr std::int64_t kFewestDistances = 64;

at::Tensor bias_of(const StackView& stack, std::int64_t length) {
  const at::NoGradGuard no_grad;
  return stack.bias == nullptr ? at::Tensor() : stack.bias->forward(length).contiguous();
}

void embed(const StackView& stack, std::int32_t id, std::int64_t position, float* row) {
  const at::Tensor& table = stack.embedding->value;
  const std::int64_t width = table.size(1);
  invariant(id >= 0 && id < table.size(0), "an id is in the vocabulary");
  std::copy_n(ops::read<float>(table) + id * width, width, row);
  if (!stack.position_vectors.defined()) return;
  invariant(position < stack.position_vectors.size(0), "a position has a vector");
  const float* vector = ops::read<float>(stack.position_vectors) + position * width;
  for (std::int64_t i = 0; i < width; ++i) row[i] += vector[i];
}

class CachedDecoding final : public Decoding {
 public:
  CachedDecoding(const CachedModel& model, std::int64_t num_sequences, std::int64_t max_length)
      : model_(model),
        max_length_(max_length),
        sequences_(static_cast<std::size_t>(num_sequences)) {}

  void start(std::int64_t sequence, std::span<const std::int32_t> inputs) override {
    invariant(inputs.empty() != model_.encoder.has_value(),
              "an encoder-decoder has encoder inputs, a decoder has none");
    Sequence& s = sequences_.at(static_cast<std::size_t>(sequence));
    s.length = 0;
    s.num_encoded = static_cast<std::int64_t>(inputs.size());
    // the memory is kept, and overwritten
    if (s.caches.empty())
      for (const Block& block : *model_.decoder.blocks) s.caches.push_back(block.make_cache());
    if (model_.encoder) read(inputs, s);
  }

  at::Tensor append(std::span<const Feed> feeds) override {
    std::vector<Token> tokens;
    std::int64_t num_logits = 0;
    for (const Feed& feed : feeds) {
      Sequence& s = sequences_.at(static_cast<std::size_t>(feed.sequence));
      invariant(!feed.ids.empty() && !s.caches.empty(), "a started sequence reads at least one id");
      invariant(s.length + static_cast<std::int64_t>(feed.ids.size()) <= max_length_,
                "a sequence is at most as long as its cache");
      for (std::size_t i = 0; i < feed.ids.size(); ++i) {
        const bool wanted = feed.every_position || i + 1 == feed.ids.size();
        tokens.push_back({&s, feed.ids[i], s.length++, wanted ? num_logits++ : -1});
      }
    }
    std::int64_t longest = 0;
    for (const Token& token : tokens) longest = std::max(longest, token.position + 1);
    cover_distances(longest);
    at::Tensor logits = at::empty({num_logits, model_.head.vocab_size}, at::kFloat);
    const std::span<const Token> all(tokens);
    for (std::size_t first = 0; first < all.size(); first += kMostRows)
      compute(all.subspan(first, std::min(kMostRows, all.size() - first)), logits);
    return logits;
  }

  std::int64_t length(std::int64_t sequence) const override {
    return sequences_.at(static_cast<std::size_t>(sequence)).length;
  }

 private:
  struct Sequence {
    std::vector<BlockCache> caches;  // of each block of the decoder
    std::int64_t length = 0, num_encoded = 0;
  };
  struct Token {
    Sequence* sequence;
    std::int32_t id;
    std::int64_t position;
    std::int64_t logits_row;  // -1: not wanted
  };

  // Makes the table of relative positions large enough; the values of a distance stay the same.
  void cover_distances(std::int64_t length) {
    if (model_.decoder.bias == nullptr || length <= covered_) return;
    covered_ = std::max({2 * covered_, length, kFewestDistances});
    bias_HR_ = bias_of(model_.decoder, covered_);
  }

  void compute(std::span<const Token> tokens, const at::Tensor& logits) {
    const StackView& stack = model_.decoder;
    const auto N = static_cast<std::int64_t>(tokens.size());
    const ops::Rows x = residual_.rows(N, stack.embedding->value.size(1));
    std::vector<std::int64_t> positions, num_keys, num_encoded;
    for (std::int64_t n = 0; n < N; ++n) {
      const Token& token = tokens[static_cast<std::size_t>(n)];
      embed(stack, token.id, token.position, x.row(n));
      positions.push_back(token.position);
      num_keys.push_back(token.position + 1);
      num_encoded.push_back(token.sequence->num_encoded);
    }
    std::vector<BlockCache*> caches(tokens.size());
    for (std::size_t b = 0; b < stack.blocks->size(); ++b) {
      for (std::size_t n = 0; n < tokens.size(); ++n) caches[n] = &tokens[n].sequence->caches[b];
      (*stack.blocks)[b].step(x, {caches, positions, num_keys, num_encoded, stack.rotary, bias_HR_},
                              buffers_);
    }
    write_logits(tokens, x, logits);
  }

  void write_logits(std::span<const Token> tokens, const ops::Rows& x, const at::Tensor& logits) {
    std::int64_t count = 0, first = -1;
    for (std::size_t n = 0; n < tokens.size(); ++n) {
      if (tokens[n].logits_row < 0) continue;
      if (first < 0) first = tokens[n].logits_row;
      // in place: a row moves to its own or an earlier row
      if (count != static_cast<std::int64_t>(n))
        std::copy_n(x.row(static_cast<std::int64_t>(n)), x.width, x.row(count));
      ++count;
    }
    if (count == 0) return;
    const ops::Rows wanted{x.data, count, x.width}, normed = buffers_.normed.rows(count, x.width);
    model_.decoder.final_norm->step(wanted, normed);
    if (model_.head.scale != 1)
      for (std::int64_t i = 0; i < count * x.width; ++i)
        normed.data[i] *= static_cast<float>(model_.head.scale);
    ops::row_linear(normed, *model_.head.weight, nullptr,
                    {ops::write<float>(logits) + first * model_.head.vocab_size, count,
                     model_.head.vocab_size});
  }

  // Runs the encoder, and the decoder's blocks read its output. Every input attends to all others,
  // so all rows are computed together.
  void read(std::span<const std::int32_t> inputs, Sequence& s) {
    const StackView& stack = *model_.encoder;
    const auto S = static_cast<std::int64_t>(inputs.size());
    const ops::Rows x = residual_.rows(S, stack.embedding->value.size(1));
    std::vector<std::int64_t> positions, num_keys(inputs.size(), S);
    for (std::int64_t n = 0; n < S; ++n) {
      embed(stack, inputs[static_cast<std::size_t>(n)], n, x.row(n));
      positions.push_back(n);
    }
    const at::Tensor bias_HR = bias_of(stack, S);
    for (const Block& block : *stack.blocks) {
      BlockCache cache = block.make_cache();
      const std::vector<BlockCache*> caches(inputs.size(), &cache);
      block.step(x, {caches, positions, num_keys, {}, stack.rotary, bias_HR}, buffers_);
    }
    const ops::Rows encoded = encoded_.rows(S, x.width);
    stack.final_norm->step(x, encoded);
    for (std::size_t b = 0; b < s.caches.size(); ++b)
      (*model_.decoder.blocks)[b].read_encoded(encoded, s.caches[b], buffers_);
  }

  CachedModel model_;
  std::int64_t max_length_;
  at::Tensor bias_HR_;
  std::int64_t covered_ = 0;  // length of the sequences that bias_HR_ covers
  std::vector<Sequence> sequences_;
  ops::RowBuffer residual_, encoded_;
  StepBuffers buffers_;
};

}  // namespace

bool can_cache(const ops::Weight& weight) {
  return weight.value.is_cpu() && weight.value.scalar_type() == at::kFloat &&
         ops::is_fused_type(weight.compute.scalar_type());
}

std::unique_ptr<Decoding> make_cached_decoding(const CachedModel& model, std::int64_t num_sequences,
                                               std::int64_t max_length) {
  invariant(num_sequences > 0 && max_length > 0, "a decoding has room for a token");
  return std::make_unique<CachedDecoding>(model, num_sequences, max_length);
}

}  // namespace sluice::model
