#include "run/session.h"

#include <ATen/ATen.h>

#include <memory>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/log_destination.h"
#include "base/machine.h"
#include "base/shell.h"
#include "base/signals.h"
#include "base/stop_notice.h"
#include "base/text_format.h"
#include "base/version.h"
#include "config/config.h"
#include "dist/group.h"
#include "ops/cuda.h"
#include "ops/product_rate.h"
#include "ops/torch_compat.h"
#include "run/dump_batches.h"
#include "run/log_file.h"
#include "run/out_of_memory.h"
#include "run/peak_rate.h"
#include "run/places.h"
#include "run/processes.h"
#include "run/result.h"
#include "run/run_record.h"
#include "run/session_parts.h"
#include "run/suggested_prompt.h"
#include "store/checkpoint_space.h"
#include "text/utf8.h"
#include "train/batches.h"
#include "train/execution.h"
#include "train/resolve.h"
#include "train/trainer.h"

namespace sluice::run {
namespace {

using train::Metrics;
using train::Progress;
using train::ResolvedRun;
using train::RunConfig;
using train::Utilization;

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

// Of one of the processes that share a step.
Utilization utilization_of(const Parts& parts, int num_processes) {
  constexpr double kMeasured_s = 0.05;
  const c10::ScalarType type = train::compute_type(parts.run.precision);
  const std::optional<double> rate = ops::measure_product_rate(type, kMeasured_s, parts.device);
  if (!rate) log::info("mfu is not reported: too little free GPU memory to measure products");
  return {
      .flops_per_token = train::sizes_of(parts.run.config,
                                         train::vocabulary(parts.run.config, *parts.data.tokenizer))
                             .flops_per_token /
                         num_processes,
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
void write_records(const SessionOptions& options, const store::RunPaths& paths, const Parts& parts,
                   int num_processes) {
  const Machine& cpu = machine();
  const text::Tokenizer& tokenizer = *parts.data.tokenizer;
  const RunRecord record{
      .name = parts.run.config.run.name,
      .sluice = {.version = std::string(version()), .revision = std::string(git_revision())},
      .libtorch = ops::torch_version(),
      .machine = {cpu.cpu_model, cpu.features(), cpu.num_cpus, cpu.memory_bytes},
      .threads = parts.run.threads,
      .processes = num_processes,
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

bool is_first(const dist::Group* group) { return group == nullptr || group->rank() == 0; }

// From the start or the checkpoint `from` to result.json.
Outcome train_parts(const SessionOptions& options, const Parts& parts,
                    train::Checkpointer& checkpointer, const store::RunPaths& paths,
                    const Start* from, dist::Group* group) {
  const bool first = is_first(group);
  Metrics metrics(paths.metrics(), utilization_of(parts, group == nullptr ? 1 : group->size()),
                  clock_of(parts.device), first ? events_of(parts.run.config, paths) : nullptr,
                  /*is_written=*/first);
  const train::TrainerParts trainer_parts{.model = *parts.model,
                                          .optimizer = *parts.optimizer,
                                          .batches = *parts.batches,
                                          .data = parts.data,
                                          .run = parts.run,
                                          .device = parts.device,
                                          .group = group};
  train::Trainer trainer(trainer_parts, checkpointer, metrics);
  Progress progress =
      trainer.begin(from == nullptr ? std::nullopt : std::optional(from->checkpoint.directory));
  progress = trainer.train(std::move(progress));
  if (progress.step < parts.run.steps) {
    if (!first) return {.is_reported = false, .code = ExitCode::kInterrupted};
    fail(ExitCode::kInterrupted, paths.root.string(),
         cat("stopped by ",
             stop_requested() ? stop_signal() : "a signal to another process of the run",
             " after step ", progress.step, ", checkpoint saved; continue with `",
             resume_command(options), "`"));
  }
  trainer.catch_up_evaluation(progress);  // if a stop interrupted the last one
  if (group != nullptr) {
    std::array<double, 1> needs{};
    needs[0] = first && needs_evaluation(trainer_parts, trainer.evaluator(), metrics, progress,
                                         paths.result());
    group->broadcast(needs);
    if (needs[0] != 0) trainer.measure_result(progress);
  }
  if (!first) return {.is_reported = false};
  write_result(trainer_parts, trainer.evaluator(), metrics, progress, paths.result());
  log::info(cat("finished ", count_of(progress.step, "step"), "; checkpoint ",
                (paths.checkpoints() / store::checkpoint_name(progress.step)).string()));
  return outcome_of(parts, summarize(parts, metrics, paths, progress));
}

// A process other than rank 0: reads what rank 0 prepares and trains with it.
Outcome follow(const SessionOptions& options, dist::Group& group) {
  // Its console would repeat that of rank 0.
  const log::Redirect quiet(log::Destination::append_to("/dev/null"));
  const store::RunPaths paths{options.config.run.dir};
  const double start_s = options.config.distributed.start_timeout.count;
  // Rank 0 has prepared the data and chosen the micro-batch, on a GPU by the memory that is free.
  std::vector<double> micro_batch(1);
  group.broadcast(micro_batch, start_s);
  store::CheckpointStore checkpoints(paths.checkpoints());
  const std::optional<Start> start =
      options.mode == store::StartMode::kFresh ? std::nullopt : find_start(checkpoints, paths);
  const Start* from = start ? &*start : nullptr;
  RunConfig requested = from == nullptr
                            ? options.config
                            : with_resolved_paths(options.config, paths, from->state.fingerprint);
  requested.train.micro_batch_sequences = static_cast<std::int64_t>(micro_batch[0]);
  const std::unique_ptr<Parts> parts = make_parts(requested, paths, from, &group);
  group.barrier(start_s);
  require_same_run(group, *parts, from);
  train::Checkpointer checkpointer(checkpoints, parts->model->parameters(), *parts->optimizer,
                                   parts->data, parts->run, &group);
  group.barrier(start_s);
  return with_memory_errors(memory_user(options, *parts), [&] {
    return train_parts(options, *parts, checkpointer, paths, from, &group);
  });
}

Outcome lead(const SessionOptions& options, dist::Group* group);

}  // namespace

std::string resume_command(const SessionOptions& options) {
  return cat(options.program, " train --resume ", shell_path(options.config.run.dir));
}

Outcome run_training(const SessionOptions& options) {
  require_text(options.config.run.dir);
  std::unique_ptr<dist::Group> group = join(options);
  try {
    if (group != nullptr) require_same_configuration(*group, options.config);
    return is_first(group.get()) ? lead(options, group.get()) : follow(options, *group);
  } catch (const UserError& error) {
    if (group != nullptr) group->leave(error.code());
    throw;
  }
}

namespace {

// The only process, or rank 0.
Outcome lead(const SessionOptions& options, dist::Group* group) {
  const double start_s = options.config.distributed.start_timeout.count;
  refuse_existing(options);
  const bool fresh = options.mode == store::StartMode::kFresh;
  RunDirectoryGuard guard(
      store::open_run(options.config.run.dir, fresh ? store::StartMode::kResume : options.mode));
  const store::RunPaths paths = (*guard).paths;
  std::optional<LogFile> log_file;
  if ((*guard).existed && !fresh) log_file.emplace(paths.log());
  for (const std::string& note : options.notes) log::info(note);
  std::optional<store::CheckpointStore> checkpoints(paths.checkpoints());
  if (!fresh) checkpoints->clean_temporaries();
  const std::optional<Start> start = fresh ? std::nullopt : find_start(*checkpoints, paths);
  const Start* from = start ? &*start : nullptr;

  // Until everything is set up, a new run writes nothing to its directory, and an existing one is
  // not renamed.
  const RunConfig requested =
      from == nullptr ? options.config
                      : with_resolved_paths(options.config, paths, from->state.fingerprint);
  const std::unique_ptr<Parts> parts = make_parts(requested, paths, from, group);
  if (group != nullptr) {
    std::vector<double> micro_batch{static_cast<double>(parts->run.micro_batch_sequences)};
    group->broadcast(micro_batch, start_s);
    group->barrier(start_s);  // the others have opened it
    require_same_run(*group, *parts, from);
  }
  const StopNotice notice("finishing this step, then saving");
  const ResolvedRun& resolved = parts->run;
  train::Checkpointer checkpointer(*checkpoints, parts->model->parameters(), *parts->optimizer,
                                   parts->data, resolved, group);
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
  if (group != nullptr) describe_processes(*group, resolved);
  if (from != nullptr)
    warn_of_another_number(group == nullptr ? 1 : group->size(), resolved, paths);
  write_records(options, paths, *parts, group == nullptr ? 1 : group->size());
  if (group != nullptr) group->barrier(start_s);
  return with_memory_errors(memory_user(options, *parts), [&] {
    return train_parts(options, *parts, checkpointer, paths, from, group);
  });
}

}  // namespace
}  // namespace sluice::run
