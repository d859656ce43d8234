#include "train/plan.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <variant>

#include "base/clock.h"
#include "base/error.h"
#include "base/machine.h"
#include "base/random.h"
#include "base/signals.h"
#include "base/text_format.h"
#include "data/prepared.h"
#include "text/tokenizer.h"
#include "train/batches.h"
#include "train/open_checkpoint.h"
#include "train/resolve.h"
#include "train/train_step.h"

namespace sluice::train {
namespace {

constexpr std::uint64_t kProcessBytes =
    147'000'000;  // program, LibTorch and its libraries once a few products have run: a run of a tiny model peaks at 135 MB
constexpr std::uint64_t kTokenizerBytesPerPiece = 16, kSmallFilesBytes = 16 << 10;  // tokenizer; configuration, state, manifest, headers

std::int64_t planned_vocabulary(const RunConfig& config) {
  const auto given = std::visit([](const auto& model) { return model.vocab_size; }, config.model);
  if (!given.is_word()) return *given;
  const auto* pieces = std::get_if<text::SentencePieceConfig>(&config.tokenizer);
  if (pieces == nullptr) return vocabulary(config, *text::make_bytes_tokenizer());
  return pieces->model ? vocabulary(config, *text::load_tokenizer(*pieces->model)) : pieces->vocab_size + num_sentinels(config);
}

// Windows of an epoch where the data is prepared; a corpus that is not there is no error.
std::optional<std::uint64_t> windows_per_epoch(const RunConfig& config, int num_threads) {
  try {
    const auto prepared = data::find_prepared({.corpus = config.corpus, .tokenizer = config.tokenizer, .num_threads = num_threads});
    if (!prepared || prepared->train.num_tokens() < 2) return std::nullopt;
    return make_training_batches(config, *prepared)->windows_per_epoch();
  } catch (const UserError& error) {
    if (error.code() == ExitCode::kMissingInput || error.code() == ExitCode::kUsage) return std::nullopt;
    throw;
  }
}

// What forward keeps for backward, per token: fp32 residual stream before each norm, and in the compute dtype what each product reads
// and what attention and the activation need. See the ops' save_for_backward.
std::uint64_t kept_bytes_per_token(const model::DecoderConfig& c, std::uint64_t element) {
  const auto d = static_cast<std::uint64_t>(c.d_model), d_ff = static_cast<std::uint64_t>(c.resolved_d_ff().d_ff);
  const auto q = static_cast<std::uint64_t>(c.num_heads * c.resolved_head_dim()),
             kv = static_cast<std::uint64_t>(c.resolved_kv_heads() * c.resolved_head_dim());
  const std::uint64_t attention = 4 * d + element * (d + 2 * (q + 2 * kv) + q);
  const std::uint64_t ffn = 4 * d + element * (d + (c.ffn->gated ? 3 : 2) * d_ff);
  return static_cast<std::uint64_t>(c.num_layers) * (attention + ffn) + 4 * d + 2 * element * d;
}

// The largest set of temporaries that lives at once in the backward pass of one block, per token.
std::uint64_t passing_bytes_per_token(const model::DecoderConfig& c, std::uint64_t element) {
  const auto d = static_cast<std::uint64_t>(c.d_model), d_ff = static_cast<std::uint64_t>(c.resolved_d_ff().d_ff);
  return 8 * d + element * (d + (c.ffn->gated ? 3 : 2) * d_ff);
}

std::vector<MemoryPart> memory_parts(const Plan& plan, std::uint64_t arena_elements) {
  const RunConfig& config = plan.config;
  const bool bf16 = *config.train.precision == Precision::kBf16;
  const std::uint64_t element = bf16 ? 2 : 4;
  const auto micro_tokens = static_cast<std::uint64_t>(*config.train.micro_batch_sequences * sequence_length(config));
  const auto& model = std::get<model::DecoderConfig>(config.model);
  const auto vocab = static_cast<std::uint64_t>(plan.vocab_size);
  const std::uint64_t chunk_rows = std::min(micro_tokens / 4 + 64, std::max<std::uint64_t>(64, (std::uint64_t{1} << 23) / vocab));
  return {{"program and LibTorch", kProcessBytes},
          {"weights, fp32", 4 * arena_elements},
          {"gradients, fp32", 4 * arena_elements},
          {"weights, bf16 copy", bf16 ? 2 * arena_elements : 0},
          {"optimizer state, fp32", static_cast<std::uint64_t>(optim::state_bytes_per_parameter(config.optimizer)) * arena_elements},
          {"activations kept for backward", micro_tokens * kept_bytes_per_token(model, element)},
          {"passing gradients", micro_tokens * passing_bytes_per_token(model, element)},
          {"logits, one chunk", chunk_rows * vocab * element}};
}

data::Batch random_batch(const Plan& plan, std::uint64_t step) {
  const SequenceShape shape = sequence_shape(plan.config);
  data::Batch batch{
      .num_sequences = plan.config.train.batch_sequences, .input_length = shape.input_length, .target_length = shape.target_length};
  const auto fill = [&](std::vector<std::int32_t>& ids, std::int64_t length, std::string_view purpose) {
    const std::uint64_t key = random_key(1, purpose, {step});
    ids.resize(static_cast<std::size_t>(batch.num_sequences * length));
    for (std::size_t i = 0; i < ids.size(); ++i)
      ids[i] = static_cast<std::int32_t>(random_below(key, i, static_cast<std::uint64_t>(plan.vocab_size)));
  };
  fill(batch.inputs, shape.input_length, "plan inputs");
  fill(batch.targets, shape.target_length, "plan targets");
  batch.num_targets = plan.tokens_per_step;
  return batch;
}

}  // namespace

Plan make_plan(const RunConfig& config) {
  Plan plan;
  plan.vocab_size = planned_vocabulary(config);
  const std::optional<std::uint64_t> windows = windows_per_epoch(config, static_cast<int>(resolve_threads(config.train)));
  plan.config = resolve(config, {.vocab_size = plan.vocab_size, .windows_per_epoch = windows.value_or(1)});
  const TrainConfig& train = plan.config.train;
  plan.sizes = sizes_of(plan.config, plan.vocab_size);
  plan.tokens_per_step = tokens_per_step(plan.config);
  if (windows) plan.tokens_per_epoch = *windows * static_cast<std::uint64_t>(sequence_shape(plan.config).target_length);
  if (windows || !config.train.epochs) plan.total_steps = train.steps;

  const auto model = model::make_model(plan.config.model, plan.vocab_size, sequence_length(plan.config));
  plan.memory = memory_parts(plan, static_cast<std::uint64_t>(model->parameters().arena_elements()));
  for (const MemoryPart& part : plan.memory) plan.memory_bytes += part.bytes;
  const auto state = static_cast<std::uint64_t>(optim::state_bytes_per_parameter(config.optimizer));
  plan.checkpoint_bytes = static_cast<std::uint64_t>(plan.sizes.num_parameters) * (4 + state) +
                          static_cast<std::uint64_t>(plan.vocab_size) * kTokenizerBytesPerPiece + kSmallFilesBytes;
  plan.disk_bytes = plan.checkpoint_bytes * static_cast<std::uint64_t>(config.checkpoint.keep_last + config.checkpoint.keep_best + 1);
  return plan;
}

StepTiming measure_steps(const Plan& plan, std::int64_t num_steps) {
  const TrainConfig& train = plan.config.train;
  use_threads(*train.threads);
  const c10::Device device = device_of(*train.device);
  const auto model = model::make_model(plan.config.model, plan.vocab_size, sequence_length(plan.config));
  model->parameters().allocate(device, compute_type(*train.precision), /*with_gradients=*/true);
  model->parameters().initialize(plan.config.run.seed);
  const auto optimizer = optim::make_optimizer(plan.config.optimizer, model->parameters());
  std::vector<double> seconds;
  for (std::int64_t step = 0; step <= num_steps; ++step) {
    throw_if_stopped("plan --measure");
    const std::vector<data::Batch> micro_batches = random_batch(plan, static_cast<std::uint64_t>(step)).split(*train.micro_batch_sequences);
    const double begin_s = monotonic_s();
    const StepStats stats =
        train_step(*model, *optimizer, micro_batches,
                   {.step = static_cast<std::uint64_t>(step), .lr = 1e-5, .device = device, .loss_limit = {}, .norm_limit = {}});
    stats.loss.item<double>();  // the step is over when its loss is known
    if (step > 0) seconds.push_back(monotonic_s() - begin_s);
  }
  std::sort(seconds.begin(), seconds.end());
  const double median = seconds[seconds.size() / 2];
  return {.seconds_per_step = median,
          .tokens_per_s = static_cast<double>(plan.tokens_per_step) / median,
          .peak_memory_bytes = peak_memory_bytes()};
}

}  // namespace sluice::train
