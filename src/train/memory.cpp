#include "train/memory.h"

#include <algorithm>
#include <variant>

#include "optim/optimizer.h"
#include "train/batches.h"

namespace sluice::train {
namespace {

// Measured on runs of a tiny model: what LibTorch adds once a few products have run (threads, their stacks
// and buffers, compiled kernels).
constexpr std::uint64_t kWarmBytes = 29 << 20;
// The same of preparation: buffers of text and tokens in each thread.
constexpr std::uint64_t kPreparationBytes = 16 << 20;

std::uint64_t count(std::int64_t n) { return static_cast<std::uint64_t>(n); }

// What forward keeps for backward, in bytes per token: fp32 residual stream before each norm, and in the compute dtype what each product reads
// and what attention and the activation need. See the ops' save_for_backward.
struct Kept {
  std::uint64_t d = 0, q = 0, kv = 0;  // columns
  std::uint64_t hidden = 0;            // columns of a feed-forward layer that are kept: both halves of a gated one, and their product
  std::uint64_t element = 4;           // bytes of the compute dtype

  std::uint64_t self_attention() const { return 4 * d + element * (d + 2 * (q + 2 * kv) + q); }
  std::uint64_t cross_attention() const { return 4 * d + element * (d + 2 * q + q); }  // per target token
  std::uint64_t cross_keys() const { return element * 2 * (2 * kv); }                  // per input token
  std::uint64_t ffn() const { return 4 * d + element * (d + hidden); }
  std::uint64_t ends() const { return 4 * d + 2 * element * d; }  // embedding output, final norm
  // The largest set of temporaries that lives at once in the backward pass of one block.
  std::uint64_t passing() const { return 8 * d + element * (d + hidden); }
};

struct Activations {
  std::uint64_t kept = 0, passing = 0;  // bytes per sequence
};

Activations activations(const model::DecoderConfig& c, const SequenceShape& shape, std::uint64_t element) {
  const Kept kept{.d = count(c.d_model),
                  .q = count(c.num_heads * c.resolved_head_dim()),
                  .kv = count(c.resolved_kv_heads() * c.resolved_head_dim()),
                  .hidden = (c.ffn->gated ? 3 : 2) * count(c.resolved_d_ff().d_ff),
                  .element = element};
  const std::uint64_t tokens = count(shape.target_length);
  return {tokens * (count(c.num_layers) * (kept.self_attention() + kept.ffn()) + kept.ends()), tokens * kept.passing()};
}

Activations activations(const model::EncoderDecoderConfig& c, const SequenceShape& shape, std::uint64_t element) {
  const std::uint64_t columns = count(c.num_heads * c.resolved_head_dim());
  const Kept kept{.d = count(c.d_model),
                  .q = columns,
                  .kv = columns,
                  .hidden = (c.ffn->gated ? 3 : 2) * count(c.resolved_d_ff().d_ff),
                  .element = element};
  const std::uint64_t inputs = count(shape.input_length), targets = count(shape.target_length);
  const std::uint64_t decoder_layers = count(c.resolved_decoder_layers());
  const std::uint64_t per_input =
      count(c.num_layers) * (kept.self_attention() + kept.ffn()) + decoder_layers * kept.cross_keys() + kept.ends();
  const std::uint64_t per_target = decoder_layers * (kept.self_attention() + kept.cross_attention() + kept.ffn()) + kept.ends();
  return {inputs * per_input + targets * per_target, std::max(inputs, targets) * kept.passing()};
}

}  // namespace

std::uint64_t expected_token_bytes(const RunConfig& config, std::uint64_t corpus_bytes) {
  const bool is_bytes = std::holds_alternative<text::BytesConfig>(config.tokenizer);
  return is_bytes ? 2 * corpus_bytes : corpus_bytes / 2;  // two bytes each, and pieces of four bytes
}

std::uint64_t preparation_bytes(const RunConfig& config, std::uint64_t process_bytes, std::uint64_t corpus_bytes) {
  const std::uint64_t plain = process_bytes + kPreparationBytes + expected_token_bytes(config, corpus_bytes);
  const auto* pieces = std::get_if<text::SentencePieceConfig>(&config.tokenizer);
  if (pieces == nullptr || pieces->model) return plain;
  constexpr std::uint64_t kUnigramSample = 8 << 20;  // see text/tokenizer_config.h
  const auto sample = std::min(corpus_bytes, static_cast<std::uint64_t>(pieces->max_sample.count));
  return plain + (pieces->algorithm == text::Algorithm::kUnigram ? 25 * std::min(sample, kUnigramSample) : 4 * sample);
}

std::vector<MemoryPart> memory_parts(const RunConfig& resolved, std::int64_t vocab_size, const StoredSizes& stored) {
  const bool bf16 = *resolved.train.precision == Precision::kBf16;
  const std::uint64_t element = bf16 ? 2 : 4, vocab = count(vocab_size);
  const std::uint64_t sequences = count(*resolved.train.micro_batch_sequences);
  const SequenceShape shape = sequence_shape(resolved);
  const Activations one = std::visit([&](const auto& model) { return activations(model, shape, element); }, resolved.model);
  const std::uint64_t chunk_rows =
      std::min(sequences * count(shape.target_length) / 4 + 64, std::max<std::uint64_t>(64, (std::uint64_t{1} << 23) / vocab));
  return {{"program and LibTorch", stored.process_bytes + kWarmBytes},
          {"prepared tokens, mapped", stored.token_bytes},
          {"weights, fp32", 4 * stored.arena_elements},
          {"gradients, fp32", 4 * stored.arena_elements},
          {"weights, bf16 copy", bf16 ? 2 * stored.arena_elements : 0},
          {"optimizer state, fp32", stored.optimizer_bytes},
          {"activations kept for backward", sequences * one.kept},
          {"passing gradients", sequences * one.passing},
          {"logits, one chunk", chunk_rows * vocab * element}};
}

}  // namespace sluice::train
