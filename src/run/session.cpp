#include "run/session.h"

#include <ATen/ATen.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/shell.h"
#include "base/signals.h"
#include "base/stop_notice.h"
#include "base/text_format.h"
#include "base/version.h"
#include "config/config.h"
#include "data/prepared.h"
#include "ops/cuda.h"
#include "ops/product_rate.h"
#include "ops/torch_compat.h"
#include "run/dump_batches.h"
#include "run/fit_micro_batch.h"
#include "run/log_file.h"
#include "run/open_checkpoint.h"
#include "run/out_of_memory.h"
#include "run/peak_rate.h"
#include "run/places.h"
#include "run/result.h"
#include "run/resume.h"
#include "run/run_record.h"
#include "run/suggested_prompt.h"
#include "store/checkpoint_space.h"
#include "store/metrics_log.h"
#include "text/utf8.h"
#include "train/batches.h"
#include "train/execution.h"
#include "train/resolve.h"
#include "train/samples.h"
#include "train/trainer.h"

namespace sluice::run {
namespace {

namespace fs = std::filesystem;
using train::Metrics;
using train::Progress;
using train::ResolvedRun;
using train::RunConfig;
using train::Utilization;

// The checkpoint to resume from.
struct Start {
  store::Checkpoint checkpoint;
  RunConfig config;  // resolved, without paths
  train::CheckpointState state;
};

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

std::optional<Start> find_start(store::CheckpointStore& checkpoints, const store::RunPaths& paths) {
  checkpoints.clean_temporaries();
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
                                                 c10::Device device) {
  std::unique_ptr<model::LanguageModel> made =
      model::make_model(run.config.model, train::vocabulary(run.config, tokenizer),
                        train::sequences_of(run.config, train::start_id(tokenizer)));
  made->parameters().allocate(device, train::compute_type(run.precision), /*with_gradients=*/true);
  return made;
}

void check_tokenizer(const data::PreparedData& data, const Start& start) {
  const std::string hash = data.tokenizer->hash().hex();
  const std::string& expected =
      start.checkpoint.manifest.note("tokenizer_hash", start.checkpoint.directory.string());
  require(hash == expected, ExitCode::kBadData, data.directory.string(), cat("tokenizer ", hash),
          cat("tokenizer ", expected, ", as in the checkpoint"));
}

// Components of a run. Neither copied nor moved, because they refer to each other.
struct Parts {
  Parts(ResolvedRun resolved, data::PreparedData prepared)
      : run(std::move(resolved)),
        data(std::move(prepared)),
        batches(train::make_training_batches(run.config, data)),
        device(train::device_of(run.device)),
        scope(device),
        model(make_model(run, *data.tokenizer, device)),
        optimizer(optim::make_optimizer(run.config.optimizer, model->parameters(),
                                        ops::gpu_of(device))) {}

  ResolvedRun run;
  data::PreparedData data;
  std::unique_ptr<data::TrainingBatches> batches;
  c10::Device device;
  ops::DeviceScope scope;
  std::unique_ptr<model::LanguageModel> model;
  std::unique_ptr<optim::Optimizer> optimizer;
};

Summary summarize(const Parts& parts, const Metrics& metrics, const store::RunPaths& paths,
                  const Progress& progress) {
  Summary summary{
      .run_directory = paths.root.string(),
      .checkpoint = (paths.checkpoints() / store::checkpoint_name(progress.step)).string(),
      .step = progress.step,
      .tokens = progress.tokens,
      .num_parameters = parts.model->parameters().num_parameters(),
      .seconds = metrics.seconds(),
      .mfu = metrics.mfu(),
      .mfu_denominator = metrics.utilization().peak_flop_per_s,
      .mfu_product = metrics.utilization().product,
      .repeatable = parts.run.is_repeatable(),
      .data_fingerprint = parts.data.fingerprint};
  for (const train::EvaluationLine& one : train::read_evaluations(paths.metrics())) {
    if (one.step == 0) summary.initial_log_perplexity = one.eval.figures.log_perplexity;
    if (one.step != progress.step) continue;
    summary.figures = one.eval.figures;
    summary.num_dropped_tokens = one.eval.num_dropped_tokens;
  }
  if (metrics.training_seconds() > 0)
    summary.tokens_per_s = static_cast<double>(metrics.num_tokens()) / metrics.training_seconds();
  return summary;
}

Outcome outcome_of(const Parts& parts, Summary summary) {
  const ResolvedRun& run = parts.run;
  return {.summary = std::move(summary),
          .prompt = suggested_prompt(
              train::held_out(run.config, parts.data).stream, *parts.data.tokenizer,
              /*fills_blanks=*/run.objective->blanks(*parts.data.tokenizer).has_value()),
          .initial_is_comparable = run.evaluation_tokens == run.final_evaluation_tokens};
}

Utilization utilization_of(const Parts& parts) {
  constexpr double kMeasured_s = 0.05;
  const c10::ScalarType type = train::compute_type(parts.run.precision);
  const std::optional<double> rate = ops::measure_product_rate(type, kMeasured_s, parts.device);
  if (!rate) log::info("mfu is not reported: too little free GPU memory to measure products");
  return {
      .flops_per_token = train::sizes_of(parts.run.config,
                                         train::vocabulary(parts.run.config, *parts.data.tokenizer))
                             .flops_per_token,
      .peak_flop_per_s = rate,
      .product = ops::describe_product(type, parts.device)};
}

train::StepClock clock_of(c10::Device device) {
  if (device.is_cpu()) return {};
  return {.synchronize = [device] { ops::synchronize(device); }};
}

std::unique_ptr<train::TensorBoardLog> events_of(const RunConfig& config,
                                                 const store::RunPaths& paths) {
  return std::make_unique<train::TensorBoardLog>(
      train::TensorBoardFiles{.events = paths.events(),
                              .metrics = paths.metrics(),
                              .is_written = config.train.tensorboard.value_or(true)},
      train::shown_settings(config));
}

std::unique_ptr<Parts> make_parts(const RunConfig& written, const store::RunPaths& paths,
                                  const Start* start) {
  const RunConfig* stored = start != nullptr ? &start->config : nullptr;
  const std::int64_t num_threads = train::resolve_threads(written.train, stored);
  // An unavailable device fails before the corpus is read.
  train::resolve_device(written.train, stored);
  if (start != nullptr) check_refused_changes(paths, *stored, written);
  data::PreparedData data = open_or_prepare(written, num_threads, paths, start);
  data.verify();  // damaged data must not be trained on
  train::use_threads(num_threads);
  const train::DataFacts facts{train::vocabulary(written, *data.tokenizer),
                               train::make_training_batches(written, data)->windows_per_epoch()};
  ResolvedRun run =
      train::resolve(written, facts, stored, micro_batch_rule(facts.vocab_size, Probe::kRun));
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
                            [&] { return std::make_unique<Parts>(run, std::move(data)); });
}

// The space for all checkpoints that exist at the same time.
std::uint64_t space_needed(const ResolvedRun& run, std::uint64_t checkpoint_bytes) {
  return store::saturating_product(checkpoint_bytes,
                                   store::checkpoints_at_once(run.config.checkpoint, run.steps));
}

// Removes the empty directory of a new run unless release() is called.
class RunDirectoryGuard {
 public:
  explicit RunDirectoryGuard(store::OpenRun run) : run_(std::move(run)) {}
  ~RunDirectoryGuard() {
    if (run_) store::abandon(*std::move(run_));
  }
  RunDirectoryGuard(const RunDirectoryGuard&) = delete;
  RunDirectoryGuard& operator=(const RunDirectoryGuard&) = delete;

  const store::OpenRun& operator*() const { return *run_; }
  store::OpenRun release() { return *std::exchange(run_, std::nullopt); }

 private:
  std::optional<store::OpenRun> run_;
};

// RUN/config.yaml and result.json store the path as text.
void require_text(const std::string& run_dir) {
  require(text::is_valid_utf8(run_dir), ExitCode::kUsage, "run directory",
          cat(printable(run_dir, 300), " (not UTF-8)"),
          "a name in UTF-8, because the run's files store it as text");
}

void refuse_existing(const SessionOptions& options) {
  if (options.mode != store::StartMode::kNew || !store::is_run_directory(options.config.run.dir))
    return;
  fail(ExitCode::kUsage, options.config.run.dir,
       cat("run already exists; use `", resume_command(options),
           "` to continue it, or --fresh to archive it and restart"));
}

void dump_batches_of(const SessionOptions& options, const Parts& parts) {
  if (options.dump_batches.empty()) return;
  const bool shared = parts.run.objective->shape().shared;
  dump_batches(*parts.batches, options.dump_steps, options.dump_batches,
               shared ? std::nullopt : std::optional(train::start_id(*parts.data.tokenizer)));
}

// run.json is written before config.yaml, so a run with config.yaml always has it.
void write_records(const SessionOptions& options, const store::RunPaths& paths,
                   const Parts& parts) {
  const Machine& cpu = machine();
  const text::Tokenizer& tokenizer = *parts.data.tokenizer;
  const RunRecord record{
      .name = parts.run.config.run.name,
      .sluice = {.version = std::string(version()), .revision = std::string(git_revision())},
      .libtorch = ops::torch_version(),
      .machine = {cpu.cpu_model, cpu.features(), cpu.num_cpus, cpu.memory_bytes},
      .threads = parts.run.threads,
      .device = parts.run.device,
      .repeatable = parts.run.is_repeatable(),
      .command = options.command_line,
      .working_directory = std::filesystem::current_path().string(),
      .settings = options.settings,
      .started = utc_timestamp(),
      .num_parameters = parts.model->parameters().num_parameters(),
      .data = {.fingerprint = parts.data.fingerprint, .directory = parts.data.directory.string()},
      .tokenizer = {.file = std::string(tokenizer.file_name()), .hash = tokenizer.hash().hex()}};
  real_files().write_atomically(paths.run_json(), config::to_json(record));
  real_files().write_atomically(paths.config(), config::to_yaml(parts.run.config));
}

MemoryUser memory_user(const SessionOptions& options, const Parts& parts) {
  return {.run = parts.run,
          .vocab_size = train::vocabulary(parts.run.config, *parts.data.tokenizer),
          .next = [&options](std::int64_t sequences) {
            return cat("; what is saved is intact, continue with `", resume_command(options),
                       " --set train.micro_batch_sequences=", sequences, "`");
          }};
}

// From the start or the checkpoint `from` to result.json.
Outcome train_parts(const SessionOptions& options, const Parts& parts,
                    train::Checkpointer& checkpointer, const store::RunPaths& paths,
                    const Start* from) {
  Metrics metrics(paths.metrics(), utilization_of(parts), clock_of(parts.device),
                  events_of(parts.run.config, paths));
  const train::TrainerParts trainer_parts{.model = *parts.model,
                                          .optimizer = *parts.optimizer,
                                          .batches = *parts.batches,
                                          .data = parts.data,
                                          .run = parts.run,
                                          .device = parts.device};
  train::Trainer trainer(trainer_parts, checkpointer, metrics);
  Progress progress =
      trainer.begin(from == nullptr ? std::nullopt : std::optional(from->checkpoint.directory));
  progress = trainer.train(std::move(progress));
  if (progress.step < parts.run.steps)
    fail(ExitCode::kInterrupted, paths.root.string(),
         cat("stopped by ", stop_signal(), " after step ", progress.step,
             ", checkpoint saved; continue with `", resume_command(options), "`"));
  trainer.catch_up_evaluation(progress);  // if a stop interrupted the last one
  write_result(trainer_parts, trainer.evaluator(), metrics, progress, paths.result());
  log::info(cat("finished ", count_of(progress.step, "step"), "; checkpoint ",
                (paths.checkpoints() / store::checkpoint_name(progress.step)).string()));
  return outcome_of(parts, summarize(parts, metrics, paths, progress));
}

}  // namespace

std::string resume_command(const SessionOptions& options) {
  return cat(options.program, " train --resume ", shell_path(options.config.run.dir));
}

Outcome run_training(const SessionOptions& options) {
  require_text(options.config.run.dir);
  refuse_existing(options);
  const bool fresh = options.mode == store::StartMode::kFresh;
  RunDirectoryGuard guard(
      store::open_run(options.config.run.dir, fresh ? store::StartMode::kResume : options.mode));
  const store::RunPaths paths = (*guard).paths;
  std::optional<LogFile> log_file;
  if ((*guard).existed && !fresh) log_file.emplace(paths.log());
  for (const std::string& note : options.notes) log::info(note);
  std::optional<store::CheckpointStore> checkpoints(paths.checkpoints());
  const std::optional<Start> start = fresh ? std::nullopt : find_start(*checkpoints, paths);
  const Start* from = start ? &*start : nullptr;

  // Until everything is set up, a new run writes nothing to its directory, and an existing one is
  // not renamed.
  const RunConfig requested =
      from == nullptr ? options.config
                      : with_resolved_paths(options.config, paths, from->state.fingerprint);
  const std::unique_ptr<Parts> parts = make_parts(requested, paths, from);
  const StopNotice notice("finishing this step, then saving");
  const ResolvedRun& resolved = parts->run;
  train::Checkpointer checkpointer(*checkpoints, parts->model->parameters(), *parts->optimizer,
                                   parts->data, resolved);
  const std::uint64_t one_checkpoint = checkpointer.size_bytes();
  checkpoints->require_space(from == nullptr ? space_needed(resolved, one_checkpoint)
                                             : one_checkpoint);
  dump_batches_of(options, *parts);
  store::OpenRun run = guard.release();
  if (fresh) {
    run = store::start_over(std::move(run));
    checkpoints.emplace(paths.checkpoints());
  }

  if (!log_file) log_file.emplace(paths.log());
  if (!run.renamed_to.empty()) log::info(cat("existing run moved to ", run.renamed_to.string()));
  if (const std::string unreached = unreached_peak_warning(resolved); !unreached.empty())
    log::warn(unreached);
  write_records(options, paths, *parts);
  return with_memory_errors(memory_user(options, *parts), [&] {
    return train_parts(options, *parts, checkpointer, paths, from);
  });
}

}  // namespace sluice::run
