#include "run/memory.h"

#include <algorithm>
#include <variant>

#include "model/step_memory.h"
#include "ops/attention_core.h"
#include "optim/optimizer.h"
#include "train/batches.h"
#include "train/gradient_sums.h"
#include "train/section_gradients.h"
#include "train/section_weights.h"
#include "train/sharding.h"

namespace sluice::run {
namespace {

using train::RunConfig;

// Memory that LibTorch allocates during the first products (threads with their stacks and buffers,
// compiled kernels), measured with a tiny model.
constexpr std::uint64_t kWarmBytes = 29 << 20;
// Memory of data preparation: buffers of text and tokens in each thread.
constexpr std::uint64_t kPreparationBytes = 16 << 20;

// Assumptions, not measured by this project. Memory of a process on the card before its first
// tensor: the driver's context and loaded modules. All kernels of PyTorch take 1 to 2 GB
// (huggingface.co/docs/transformers/model_memory_anatomy); CUDA 12.2 and later load only those that
// are used.
constexpr std::uint64_t kContextBytes = 500 << 20;
// cuBLAS workspaces of LibTorch: 32 MiB per handle and stream on compute capability 9.0
// (pytorch.org/docs/stable/notes/cuda.html#cublas-workspaces); autograd has a second thread.
constexpr std::uint64_t kWorkspaceBytes = 64 << 20;
// LibTorch rounds large blocks up to 2 MiB and leaves gaps between blocks.
constexpr std::uint64_t kGapsShare = 32;  // one part in 32

std::uint64_t count(std::int64_t n) { return static_cast<std::uint64_t>(n); }

// Of the head matrix: logits of padding rows are computed, too.
std::int64_t stored_rows(const model::ModelConfig& config, std::int64_t vocab_size) {
  const std::int64_t multiple =
      std::visit([](const auto& c) { return c.pad_vocab_multiple; }, config);
  return (vocab_size + multiple - 1) / multiple * multiple;
}

// Slots of cluster/slots.h.
std::int64_t num_slots(const train::ResolvedRun& run) {
  const std::int64_t sequences = run.config.train.batch_sequences, size = run.micro_batch_sequences;
  return (sequences + size - 1) / size;
}

// Of one process.
StoredSizes stored_sizes(const train::ResolvedRun& run, const model::LanguageModel& model,
                         const optim::Shards& shards) {
  const ops::Parameters& parameters = model.parameters();
  const std::int64_t elements = parameters.arena_elements();
  const bool bf16 = run.precision == train::Precision::kBf16;
  StoredSizes stored{
      .weights = count(elements),
      .gradients = count(elements),
      .bf16_copy = bf16 ? count(elements) : 0,
      .optimizer_bytes =
          optim::state_size(run.config.optimizer, parameters, shards.own(elements)).memory_bytes};
  if (shards.of_parameters) {
    const auto sections = model.gradient_sections();
    const std::int64_t resident = ops::num_elements(train::resident_ranges(parameters, shards)),
                       arriving = train::SectionWeights::num_elements(parameters, shards, sections);
    const auto sizes =
        train::SectionGradients::sizes_of(parameters, shards, sections, num_slots(run));
    stored.weights = count(resident + (bf16 ? 0 : arriving));
    stored.bf16_copy = bf16 ? count(resident + arriving) : 0;
    stored.gradients = count(sizes.gradients);
    stored.gradient_sum_elements = count(sizes.sums);
  } else if (run.is_exact()) {
    stored.gradient_sum_elements = count(
        train::GradientSums::num_elements(elements, num_slots(run), shards.rank, shards.begins()));
  }
  return stored;
}

std::uint64_t stored_bytes(const StoredSizes& stored) {
  return 4 * (stored.weights + stored.gradients + stored.gradient_sum_elements) +
         2 * stored.bf16_copy + stored.optimizer_bytes;
}

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
  const std::uint64_t element = bf16 ? 2 : 4;
  const std::uint64_t vocab = count(stored_rows(run.config.model, vocab_size));
  const std::uint64_t sequences = count(run.micro_batch_sequences);
  const data::SequenceShape shape = run.objective->shape();
  const model::ActivationMemory one = model::activation_memory(
      run.config.model, train::sequences_of(run.config, /*start=*/0), element);
  const std::uint64_t chunk_rows =
      std::min(sequences * count(shape.target_length) / 4 + 64,
               std::max<std::uint64_t>(64, (std::uint64_t{1} << 23) / vocab));
  return {{"program and LibTorch", stored.process_bytes + kWarmBytes},
          {"prepared tokens, mapped", stored.token_bytes},
          {"weights, fp32", 4 * stored.weights},
          {"gradients, fp32", 4 * stored.gradients},
          {"gradient sums, fp32", 4 * stored.gradient_sum_elements},
          {"weights, bf16 copy", 2 * stored.bf16_copy},
          {"optimizer state, fp32", stored.optimizer_bytes},
          {"activations kept for backward", sequences * one.kept},
          {"activation gradients", sequences * one.temporary},
          {"logits, one chunk", chunk_rows * vocab * element}};
}

std::vector<MemoryPart> gpu_memory_parts(const train::ResolvedRun& run, const GpuSizes& sizes) {
  const bool bf16 = run.precision == train::Precision::kBf16;
  const data::SequenceShape shape = run.objective->shape();
  const model::StepMemory step =
      model::step_memory(run.config.model, train::sequences_of(run.config, /*start=*/0),
                         {.sequences = run.micro_batch_sequences,
                          .vocab_rows = stored_rows(run.config.model, sizes.vocab_size),
                          .element = bf16 ? 2u : 4u,
                          .device = sizes.device,
                          .has_cudnn = sizes.device == c10::kCUDA && ops::has_cudnn_attention()});
  const std::uint64_t tokens =
      8 * count(run.config.train.batch_sequences * (shape.input_length + shape.target_length));
  // The larger of two moments: the loss, with its logits, and the backward pass.
  const std::uint64_t in_flight = step.peak - step.kept;
  const std::uint64_t logits = std::min(step.logits, in_flight);
  // Evaluation does not share memory with a recorded step.
  const std::uint64_t evaluation = run.evaluate_every_steps > 0 ? step.evaluation : 0;
  return {
      {"weights, fp32", 4 * sizes.arena_elements},
      {"gradients, fp32", 4 * sizes.arena_elements},
      {"weights, bf16 copy", bf16 ? 2 * sizes.arena_elements : 0},
      {"optimizer state, fp32", sizes.optimizer_bytes},
      {"tokens of a step", tokens},
      {"activations kept for backward", step.kept},
      {"logits, one chunk", logits},
      {"gradients in flight", in_flight - logits},
      {"evaluation", evaluation},
      {"allocator and cuBLAS, assumed", kWorkspaceBytes + (step.peak + evaluation) / kGapsShare},
      {"CUDA context, assumed", kContextBytes}};
}

std::uint64_t gpu_context_bytes() { return kContextBytes; }

std::uint64_t sum_of(const std::vector<MemoryPart>& parts) {
  std::uint64_t sum = 0;
  for (const MemoryPart& part : parts) sum += part.bytes;
  return sum;
}

MemoryEstimate estimate_memory(const train::ResolvedRun& run, std::int64_t vocab_size,
                               std::uint64_t process_bytes, std::uint64_t token_bytes,
                               std::int64_t num_processes) {
  const auto model =
      model::make_model(run.config.model, vocab_size, train::sequences_of(run.config, /*start=*/0));
  const ops::Parameters& parameters = model->parameters();
  const std::int64_t elements = parameters.arena_elements();
  const optim::StateSize state = optim::state_size(run.config.optimizer, parameters);
  if (run.device == "cpu") {
    const auto parts = train::shard_parts_of(run, *model, static_cast<int>(num_processes));
    StoredSizes most;
    for (int rank = 0; rank < static_cast<int>(num_processes); ++rank) {
      const optim::Shards shards{.rank = rank,
                                 .parts = parts,
                                 .of_parameters = num_processes > 1 && run.shards_parameters()};
      const StoredSizes stored = stored_sizes(run, *model, shards);
      if (stored_bytes(stored) > stored_bytes(most)) most = stored;
    }
    most.process_bytes = process_bytes;
    most.token_bytes = token_bytes;
    return {.process = memory_parts(run, vocab_size, most), .gpu = {}};
  }
  return {.process = {{"program and LibTorch", process_bytes + kWarmBytes},
                      {"prepared tokens, mapped", token_bytes}},
          .gpu = gpu_memory_parts(run, {.vocab_size = vocab_size,
                                        .arena_elements = count(elements),
                                        .optimizer_bytes = state.gpu_memory_bytes})};
}

}  // namespace sluice::run
