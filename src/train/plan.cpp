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
#include "base/stop_notice.h"
#include "base/text_format.h"
#include "data/prepared.h"
#include "text/tokenizer.h"
#include "train/batches.h"
#include "train/memory.h"
#include "train/open_checkpoint.h"
#include "train/resolve.h"
#include "train/train.h"

namespace sluice::train {
namespace {

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
    if (!prepared || prepared->train().num_tokens() < 2) return std::nullopt;
    return make_training_batches(config, *prepared)->windows_per_epoch();
  } catch (const UserError& error) {
    if (error.code() == ExitCode::kMissingInput || error.code() == ExitCode::kUsage) return std::nullopt;
    throw;
  }
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

  const auto model = model::make_model(plan.config.model, plan.vocab_size, sequences_of(plan.config, /*start=*/0));
  const optim::StateSize state = optim::state_size(plan.config.optimizer, model->parameters());
  plan.memory = memory_parts(
      plan.config, plan.vocab_size,
      {.arena_elements = static_cast<std::uint64_t>(model->parameters().arena_elements()), .optimizer_bytes = state.memory_bytes});
  for (const MemoryPart& part : plan.memory) plan.memory_bytes += part.bytes;
  plan.checkpoint_bytes = static_cast<std::uint64_t>(plan.sizes.num_parameters) * 4 + state.checkpoint_bytes +
                          static_cast<std::uint64_t>(plan.vocab_size) * kTokenizerBytesPerPiece + kSmallFilesBytes;
  plan.disk_bytes = plan.checkpoint_bytes * static_cast<std::uint64_t>(config.checkpoint.keep_last + config.checkpoint.keep_best + 1);
  return plan;
}

StepTiming measure_steps(const Plan& plan, std::int64_t num_steps) {
  const TrainConfig& train = plan.config.train;
  use_threads(*train.threads);
  const c10::Device device = device_of(*train.device);
  const auto model = model::make_model(plan.config.model, plan.vocab_size, sequences_of(plan.config, /*start=*/0));
  model->parameters().allocate(device, compute_type(*train.precision), /*with_gradients=*/true);
  model->parameters().initialize(plan.config.run.seed);
  const auto optimizer = optim::make_optimizer(plan.config.optimizer, model->parameters());
  StepConfig config = step_config_of(plan.config, device);
  config.lr = 1e-5;
  const StopNotice notice("ending after this step");
  std::vector<double> seconds;
  for (std::int64_t step = 0; step <= num_steps; ++step) {
    throw_if_stopped("plan --measure");
    const std::vector<data::Batch> micro_batches = random_batch(plan, static_cast<std::uint64_t>(step)).split(*train.micro_batch_sequences);
    const double begin_s = monotonic_s();
    config.step = static_cast<std::uint64_t>(step);
    const StepStats stats = train_step(*model, *optimizer, micro_batches, config);
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
