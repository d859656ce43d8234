#include "run/plan.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>
#include <numeric>
#include <utility>
#include <variant>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/machine.h"
#include "base/rendezvous.h"
#include "base/resident_memory.h"
#include "base/scratch_directory.h"
#include "base/signals.h"
#include "base/stop_notice.h"
#include "base/text_format.h"
#include "data/prepared.h"
#include "ops/device_memory.h"
#include "run/memory.h"
#include "run/open_checkpoint.h"
#include "run/out_of_memory.h"
#include "run/processes.h"
#include "run/step_timing.h"
#include "run/trial.h"
#include "store/checkpoint_space.h"
#include "text/documents.h"
#include "text/tokenizer.h"
#include "train/batches.h"
#include "train/divergence.h"
#include "train/execution.h"
#include "train/resolve.h"

namespace sluice::run {
namespace {

using train::ResolvedRun;
using train::RunConfig;

// Tokenizer; configuration, state, manifest and headers.
constexpr std::uint64_t kTokenizerBytesPerPiece = 16, kSmallFilesBytes = 16 << 10;

std::int64_t planned_vocabulary(const RunConfig& config) {
  const auto given = std::visit([](const auto& model) { return model.vocab_size; }, config.model);
  if (given.value) return *given;
  if (const auto tokenizer = text::load_given_tokenizer(config.tokenizer))
    return train::vocabulary(config, *tokenizer);
  return std::get<text::SentencePieceConfig>(config.tokenizer).vocab_size +
         train::num_sentinels(config);
}

// None, without an error, if the corpus is missing.
std::optional<data::PreparedData> find_data(const RunConfig& config, int num_threads,
                                            text::Notes notes) {
  try {
    auto prepared = data::find_prepared({.corpus = config.corpus,
                                         .tokenizer = config.tokenizer,
                                         .num_threads = num_threads,
                                         .notes = notes});
    if (prepared && prepared->train().num_tokens() < 2) prepared.reset();
    return prepared;
  } catch (const UserError& error) {
    if (error.code() == ExitCode::kMissingInput || error.code() == ExitCode::kUsage)
      return std::nullopt;
    throw;
  }
}

// Counts step 0, every `every` steps and the last one.
std::int64_t times_in(std::int64_t steps, std::int64_t every) {
  return steps / every + 1 + (steps % every != 0);
}

PlannedEvaluations evaluations_of(const ResolvedRun& run, const data::PreparedData& data) {
  const train::HeldOut text = train::held_out(run.config, data);
  if (run.evaluate_every_steps == 0 || text.stream.num_tokens() == 0) return {};
  const auto num_batches = [&](std::uint64_t max_tokens) {
    return train::make_evaluation_batches(run, text.stream, *data.tokenizer,
                                          {.max_tokens = max_tokens})
        ->num_batches();
  };
  const std::int64_t count = times_in(run.steps, run.evaluate_every_steps);
  const std::uint64_t periodic = num_batches(run.evaluation_tokens),
                      final = num_batches(run.final_evaluation_tokens);
  // If the final limit differs, the last step is also measured with the periodic limit, which
  // selects the best checkpoint.
  const auto num_periodic = static_cast<std::uint64_t>(count) -
                            (run.evaluation_tokens == run.final_evaluation_tokens ? 1 : 0);
  return {.count = count, .num_batches = num_periodic * periodic + final};
}

// Size of the available training text; compressed files count about four times.
std::uint64_t text_bytes(const text::CorpusConfig& corpus) {
  constexpr std::uint64_t kPacked = 4;
  std::uint64_t bytes = 0;
  try {
    for (const fs::path& file :
         text::expand_paths(corpus.train, "corpus.train", text::Notes::kNone)) {
      const bool is_packed = file.extension() == ".gz" || file.extension() == ".zst";
      bytes += fs::file_size(file) * (is_packed ? kPacked : 1);
    }
  } catch (const UserError&) {  // not available yet
  } catch (const fs::filesystem_error&) {
  }
  return bytes;
}

// Size of the tokens that the run reads; pages of mapped files stay resident.
std::uint64_t token_bytes(const Plan& plan, const data::PreparedData* data,
                          std::uint64_t corpus_bytes) {
  const std::uint64_t bytes_per_token = plan.vocab_size > (1 << 16) ? 4 : 2;
  const std::uint64_t most = static_cast<std::uint64_t>(plan.total_steps.value_or(0)) *
                             static_cast<std::uint64_t>(plan.run.tokens_per_step());
  // This process prepares them, so all are resident.
  if (data == nullptr) return expected_token_bytes(plan.run.config, corpus_bytes);
  return bytes_per_token * (std::min(data->train().num_tokens(), most) +
                            train::held_out(plan.run.config, *data).stream.num_tokens());
}

// `train` prepares the data first; adds a part if that exceeds the memory of training.
void add_preparation(Plan& plan, std::uint64_t process_bytes, std::uint64_t corpus_bytes) {
  const std::uint64_t needed = preparation_bytes(plan.run.config, process_bytes, corpus_bytes);
  if (needed <= plan.memory_bytes) return;
  MemoryPart& preparing = plan.memory.emplace_back();
  preparing.name = "additional for data preparation";
  preparing.bytes = needed - plan.memory_bytes;
  plan.memory_bytes = needed;
}

}  // namespace

Plan make_plan(const RunConfig& config, text::Notes notes, Probe probe,
               std::int64_t num_processes) {
  Plan plan;
  const std::uint64_t process_bytes = resident_memory_bytes();
  plan.vocab_size = planned_vocabulary(config);
  const auto data =
      find_data(config, static_cast<int>(train::resolve_threads(config.train)), notes);
  std::optional<std::uint64_t> windows;
  if (data) windows = train::make_training_batches(config, *data)->windows_per_epoch();
  plan.is_prepared = data.has_value();
  const std::uint64_t corpus_bytes = data ? 0 : text_bytes(config.corpus);
  plan.run = train::resolve(
      config, {.vocab_size = plan.vocab_size, .windows_per_epoch = windows.value_or(1)},
      /*stored=*/nullptr, micro_batch_rule(plan.vocab_size, probe));
  const ResolvedRun& run = plan.run;
  require(run.device == "cpu" || num_processes == 1, ExitCode::kUsage, "--processes",
          cat(num_processes), "1 on a GPU");
  if (num_processes > 1) warn_of_idle_processes(num_processes, run);
  plan.sizes = train::sizes_of(plan.run.config, plan.vocab_size);
  if (windows)
    plan.tokens_per_epoch =
        *windows * static_cast<std::uint64_t>(plan.run.objective->shape().target_length);
  if (windows || !config.train.epochs) {
    plan.total_steps = run.steps;
    plan.num_saves = times_in(run.steps, config.checkpoint.every_steps);
  }
  if (data) plan.evaluations = evaluations_of(run, *data);

  const auto model = model::make_model(plan.run.config.model, plan.vocab_size,
                                       train::sequences_of(plan.run.config, /*start=*/0));
  const optim::StateSize state = optim::state_size(plan.run.config.optimizer, model->parameters());
  const std::uint64_t tokens = token_bytes(plan, data ? &*data : nullptr, corpus_bytes);
  MemoryEstimate memory =
      estimate_memory(run, plan.vocab_size, process_bytes, tokens, num_processes);
  if (num_processes > 1 && !run.shards_parameters()) {
    ResolvedRun sharded = run;
    sharded.config.distributed.shard = cluster::Shard::kParameters;
    const MemoryEstimate estimate =
        estimate_memory(sharded, plan.vocab_size, process_bytes, tokens, num_processes);
    plan.sharded_memory_bytes =
        std::max(sum_of(estimate.process),
                 data ? 0 : preparation_bytes(config, process_bytes, corpus_bytes));
  }
  plan.memory = std::move(memory.process);
  plan.memory_bytes = sum_of(plan.memory);
  plan.gpu_memory = std::move(memory.gpu);
  plan.gpu_memory_bytes = sum_of(plan.gpu_memory);
  if (!data) add_preparation(plan, process_bytes, corpus_bytes);
  plan.checkpoint_bytes =
      static_cast<std::uint64_t>(plan.sizes.num_parameters) * 4 + state.checkpoint_bytes +
      static_cast<std::uint64_t>(plan.vocab_size) * kTokenizerBytesPerPiece + kSmallFilesBytes;
  plan.disk_bytes = store::saturating_product(
      plan.checkpoint_bytes, store::checkpoints_at_once(config.checkpoint, plan.total_steps));
  return plan;
}

namespace {

// Time of one forward pass of an evaluation, after a warm-up pass.
double time_evaluation_batch(const Plan& plan, const Trial& trial) {
  constexpr int kPasses = 3;
  const data::Batch batch =
      random_batch(plan.run, plan.vocab_size, 0).split(plan.run.micro_batch_sequences).front();
  std::vector<double> seconds;
  for (int i = 0; i <= kPasses; ++i) {
    throw_if_stopped("plan --measure");
    const double begin_s = monotonic_s();
    trial.evaluate(batch);
    if (i > 0) seconds.push_back(monotonic_s() - begin_s);
  }
  return median(seconds);
}

// Time to write, read back and hash a file of a checkpoint's size; extrapolated for large ones.
double time_save(std::uint64_t checkpoint_bytes) {
  constexpr std::uint64_t kMostBytes = 64 << 20;
  const std::string content(std::min(checkpoint_bytes, kMostBytes), 'x');
  const ScratchDirectory scratch;
  const fs::path file = scratch.path() / "checkpoint";
  const double begin_s = monotonic_s();
  real_files().write_atomically(file, content);
  hash_of(read_file(file));
  const double seconds = monotonic_s() - begin_s;
  return seconds * static_cast<double>(checkpoint_bytes) / static_cast<double>(content.size());
}

StepTiming measure_on(const Plan& plan, std::int64_t num_steps, const Place& place) {
  const ResolvedRun& run = plan.run;
  Trial trial(run, plan.vocab_size, place, /*initialize=*/true);
  StepTiming timing{.start_s = process_s()};
  const StopNotice notice("stopping after this step");
  // A GPU's first steps compile, plan and record.
  const StepGroups groups = place.gpu == nullptr
                                ? StepGroups{.num_groups = num_steps}
                                : StepGroups{.num_warm_up = train::StepRunner::kPlainSteps + 1,
                                             .num_groups = num_steps,
                                             .steps_per_group = train::kDivergenceInterval};
  std::map<std::uint64_t, std::vector<data::Batch>> micro_batches;
  timing.seconds_per_step = time_steps(
      groups,
      {.prepare =
           [&](std::uint64_t step) {
             throw_if_stopped("plan --measure");
             micro_batches[step] =
                 random_batch(run, plan.vocab_size, step).split(run.micro_batch_sequences);
           },
       .run =
           [&](std::uint64_t step) {
             trial.start_step(micro_batches[step], step);
             micro_batches.erase(step);
             if (step > 0) return;
             trial.wait();
             timing.first_step_s = process_s();
           },
       .synchronize = [&] { trial.wait(); }},
      Rendezvous::from_environment());
  timing.tokens_per_s = static_cast<double>(run.tokens_per_step()) / timing.seconds_per_step;
  timing.evaluation_batch_s = time_evaluation_batch(plan, trial);
  if (!place.device.is_cpu())
    timing.peak_gpu_memory_bytes = ops::peak_reserved_bytes(place.device) + gpu_context_bytes();
  return timing;
}

}  // namespace

StepTiming measure_steps(const Plan& plan, std::int64_t num_steps) {
  train::use_arithmetic(plan.run.config.train);
  train::use_threads(plan.run.threads);
  StepTiming timing = with_memory_errors({.run = plan.run, .vocab_size = plan.vocab_size}, [&] {
    return measure_on(plan, num_steps, place_of(plan.run));
  });
  timing.peak_memory_bytes = peak_memory_bytes();  // before time_save() allocates
  timing.save_s = time_save(plan.checkpoint_bytes);
  return timing;
}

double other_seconds(const Plan& plan, const StepTiming& timing) {
  double seconds = timing.start_s;
  if (plan.evaluations)
    seconds += static_cast<double>(plan.evaluations->num_batches) * timing.evaluation_batch_s;
  if (plan.num_saves) seconds += static_cast<double>(*plan.num_saves) * timing.save_s;
  return seconds;
}

}  // namespace sluice::run
