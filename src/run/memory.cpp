#include "run/memory.h"

#include <algorithm>
#include <variant>

#include "optim/optimizer.h"
#include "train/batches.h"

namespace sluice::run {
namespace {

using train::RunConfig;

// Memory that LibTorch allocates during the first products (threads with their stacks and buffers,
// compiled kernels), measured with a tiny model.
constexpr std::uint64_t kWarmBytes = 29 << 20;
// Memory of data preparation: buffers of text and tokens in each thread.
constexpr std::uint64_t kPreparationBytes = 16 << 20;

std::uint64_t count(std::int64_t n) { return static_cast<std::uint64_t>(n); }

}  // namespace

std::uint64_t expected_token_bytes(const RunConfig& config, std::uint64_t corpus_bytes) {
  const bool is_bytes = std::holds_alternative<text::BytesConfig>(config.tokenizer);
  // Tokens take two bytes each; a piece covers about four bytes of text.
  return is_bytes ? 2 * corpus_bytes : corpus_bytes / 2;
}

std::uint64_t preparation_bytes(const RunConfig& config, std::uint64_t process_bytes,
                                std::uint64_t corpus_bytes) {
  const std::uint64_t plain =
      process_bytes + kPreparationBytes + expected_token_bytes(config, corpus_bytes);
  const auto* pieces = std::get_if<text::SentencePieceConfig>(&config.tokenizer);
  if (pieces == nullptr || pieces->model) return plain;
  constexpr std::uint64_t kUnigramSample = 8 << 20;  // see text/tokenizer_config.h
  const auto sample = std::min(corpus_bytes, static_cast<std::uint64_t>(pieces->max_sample.count));
  return plain + (pieces->algorithm == text::Algorithm::kUnigram
                      ? 25 * std::min(sample, kUnigramSample)
                      : 4 * sample);
}

std::vector<MemoryPart> memory_parts(const train::ResolvedRun& run, std::int64_t vocab_size,
                                     const StoredSizes& stored) {
  const bool bf16 = run.precision == train::Precision::kBf16;
  const std::uint64_t element = bf16 ? 2 : 4, vocab = count(vocab_size);
  const std::uint64_t sequences = count(run.micro_batch_sequences);
  const data::SequenceShape shape = run.objective->shape();
  const model::ActivationMemory one = model::activation_memory(
      run.config.model, train::sequences_of(run.config, /*start=*/0), element);
  const std::uint64_t chunk_rows =
      std::min(sequences * count(shape.target_length) / 4 + 64,
               std::max<std::uint64_t>(64, (std::uint64_t{1} << 23) / vocab));
  return {{"program and LibTorch", stored.process_bytes + kWarmBytes},
          {"prepared tokens, mapped", stored.token_bytes},
          {"weights, fp32", 4 * stored.arena_elements},
          {"gradients, fp32", 4 * stored.arena_elements},
          {"weights, bf16 copy", bf16 ? 2 * stored.arena_elements : 0},
          {"optimizer state, fp32", stored.optimizer_bytes},
          {"activations kept for backward", sequences * one.kept},
          {"activation gradients", sequences * one.temporary},
          {"logits, one chunk", chunk_rows * vocab * element}};
}

}  // namespace sluice::run
