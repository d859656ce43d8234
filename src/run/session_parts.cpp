#include "run/session_parts.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/text_format.h"
#include "run/fit_micro_batch.h"
#include "run/open_checkpoint.h"
#include "run/out_of_memory.h"
#include "run/places.h"
#include "run/resume.h"
#include "store/metrics_log.h"
#include "train/batches.h"
#include "train/checkpoint.h"
#include "train/execution.h"
#include "train/samples.h"
#include "train/sharding.h"

namespace sluice::run {
namespace {

namespace fs = std::filesystem;
using train::ResolvedRun;
using train::RunConfig;

// Steps recorded in metrics.jsonl.
std::int64_t recorded_steps(const store::RunPaths& paths) {
  std::error_code ignored;
  std::int64_t steps = 0;
  if (fs::exists(paths.metrics(), ignored))
    store::read_metrics(paths.metrics(),
                        [&](std::int64_t step, const nlohmann::ordered_json& line) {
                          if (line.contains("loss")) steps = std::max(steps, step);
                        });
  return steps;
}

constexpr std::string_view kRestoreOrRestart = "; restore one from a copy, or restart with --fresh";

data::PreparedData open_or_prepare(const RunConfig& config, std::int64_t num_threads,
                                   const store::RunPaths& paths, const Start* start) {
  if (start == nullptr)
    return data::prepare({.corpus = config.corpus,
                          .tokenizer = config.tokenizer,
                          .num_threads = static_cast<int>(num_threads)});
  const std::string& tokenizer_hash =
      start->checkpoint.manifest.note("tokenizer_hash", start->checkpoint.directory.string());
  return open_data_of({paths, start->state, tokenizer_hash}, config, num_threads);
}

std::unique_ptr<model::LanguageModel> make_model(const ResolvedRun& run,
                                                 const text::Tokenizer& tokenizer,
                                                 c10::Device device, bool on_demand) {
  std::unique_ptr<model::LanguageModel> made =
      model::make_model(run.config.model, train::vocabulary(run.config, tokenizer),
                        train::sequences_of(run.config, train::start_id(tokenizer)));
  made->parameters().allocate(device, train::compute_type(run.precision), /*with_gradients=*/true,
                              on_demand);
  return made;
}

optim::Shards shards_of(const ResolvedRun& run, const model::LanguageModel& model,
                        dist::Group* group) {
  if (group == nullptr || run.device != "cpu") return {};
  return {.rank = group->rank(),
          .parts = train::shard_parts_of(run, model, group->size()),
          .gather = [group](auto all, const auto& count_of) { group->gather(all, count_of); },
          .of_parameters = run.shards_parameters()};
}

// Of several processes on a machine, each has the GPU of its number, or the only one it sees.
c10::Device place_of(const std::string& name, const dist::Group* group) {
  const c10::Device device = train::device_of(name);
  if (group == nullptr || device.is_cpu() || device.has_index()) return device;
  const int num_gpus = ops::torch_cuda().num_devices;
  if (num_gpus == 1) return device;
  require(group->local_rank() < num_gpus, ExitCode::kUsage, "train.device", name,
          cat("at most ", num_gpus, " processes on this machine, which has ", num_gpus, " GPUs"));
  return train::device_of(cat(name, ":", group->local_rank()));
}

void check_tokenizer(const data::PreparedData& data, const Start& start) {
  const std::string hash = data.tokenizer->hash().hex();
  const std::string& expected =
      start.checkpoint.manifest.note("tokenizer_hash", start.checkpoint.directory.string());
  require(hash == expected, ExitCode::kBadData, data.directory.string(), cat("tokenizer ", hash),
          cat("tokenizer ", expected, ", as in the checkpoint"));
}

}  // namespace

std::optional<Start> find_start(store::CheckpointStore& checkpoints, const store::RunPaths& paths) {
  const auto [newest, damaged] = newest_checkpoint(checkpoints);
  require(newest.has_value() || damaged.empty(), ExitCode::kNoCheckpoint,
          checkpoints.directory().string(),
          cat(count_of(static_cast<std::int64_t>(damaged.size()), "checkpoint"), ", all damaged",
              kRestoreOrRestart));
  if (!newest) {
    const std::int64_t steps = recorded_steps(paths);
    require(
        steps == 0, ExitCode::kNoCheckpoint, checkpoints.directory().string(),
        cat("no checkpoint, but metrics.jsonl has ", count_of(steps, "step"), kRestoreOrRestart));
    return std::nullopt;
  }
  if (const std::optional<LostCheckpoint> lost =
          find_lost_checkpoint(newest->manifest.step, saved_step_of(paths), damaged))
    log::warn(cat(paths.root.string(), ": going back to step ", newest->manifest.step, ": ",
                  lost->reason));
  Start start{*newest, train::read_config(newest->directory), train::read_state(newest->directory)};
  require(start.state.progress.step == start.checkpoint.manifest.step, ExitCode::kBadData,
          newest->directory.string(),
          cat("step ", start.state.progress.step, " in train_state.json"),
          cat("step ", start.checkpoint.manifest.step, ", as in the manifest"));
  return start;
}

Parts::Parts(ResolvedRun resolved, data::PreparedData prepared, dist::Group* group)
    : run(std::move(resolved)),
      data(std::move(prepared)),
      batches(train::make_training_batches(run.config, data)),
      device(place_of(run.device, group)),
      scope(device),
      model(make_model(run, *data.tokenizer, device,
                       /*on_demand=*/group != nullptr && run.shards_parameters())),
      optimizer(optim::make_optimizer(run.config.optimizer, model->parameters(),
                                      ops::gpu_of(device), shards_of(run, *model, group))) {}

std::unique_ptr<Parts> make_parts(const RunConfig& written, const store::RunPaths& paths,
                                  const Start* start, dist::Group* group) {
  const RunConfig* stored = start != nullptr ? &start->config : nullptr;
  const std::int64_t num_threads = train::resolve_threads(written.train, stored);
  // An unavailable device fails before the corpus is read.
  train::resolve_device(written.train, stored);
  if (start != nullptr) check_refused_changes(paths, *stored, written);
  data::PreparedData data = open_or_prepare(written, num_threads, paths, start);
  data.verify();  // damaged data must not be trained on
  train::use_arithmetic(written.train);
  train::use_threads(num_threads);
  const train::DataFacts facts{train::vocabulary(written, *data.tokenizer),
                               train::make_training_batches(written, data)->windows_per_epoch()};
  ResolvedRun run =
      train::resolve(written, facts, stored, micro_batch_rule(facts.vocab_size, Probe::kRun));
  require(group == nullptr || run.device == "cpu" || !run.shards_parameters(), ExitCode::kUsage,
          "train.device", run.device, "cpu with distributed.shard: parameters");
  if (start != nullptr) {
    check_length(written, run.steps, start->state.progress.step);
    check_changes(paths, *stored, run.config);
    check_tokenizer(data, *start);
  }
  train::check_samples(run, data);
  // Held-out text that is too short fails before the first step.
  if (run.evaluate_every_steps > 0)
    train::make_evaluation_batches(run, train::held_out(run.config, data).stream, *data.tokenizer,
                                   {});
  return with_memory_errors({.run = run, .vocab_size = facts.vocab_size},
                            [&] { return std::make_unique<Parts>(run, std::move(data), group); });
}

}  // namespace sluice::run
