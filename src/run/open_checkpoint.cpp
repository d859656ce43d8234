#include "run/open_checkpoint.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/text_format.h"
#include "config/config.h"
#include "eval/load_model.h"
#include "run/places.h"
#include "store/run_directory.h"
#include "store/run_result.h"
#include "train/batches.h"
#include "train/execution.h"
#include "train/resolve.h"

namespace sluice::run {
namespace {

namespace fs = std::filesystem;
using train::RunConfig;

// The run that contains the checkpoint RUN/checkpoints/step-N, if any.
std::optional<store::RunPaths> run_of(const fs::path& checkpoint) {
  std::error_code ignored;
  const fs::path absolute = fs::weakly_canonical(checkpoint, ignored);
  const store::RunPaths paths{absolute.parent_path().parent_path()};
  if (absolute.parent_path() != paths.checkpoints() || !store::is_run_directory(paths.root))
    return std::nullopt;
  return paths;
}

// An invalid RUN/config.yaml is bad data, since the program wrote it.
RunConfig config_of_run(const fs::path& path) {
  try {
    return config::load<RunConfig>({.file = path, .overrides = {}});
  } catch (const UserError& error) {
    if (error.code() != ExitCode::kUsage) throw;
    throw UserError(ExitCode::kBadData, error.what());
  }
}

// Checkpoints contain no paths; the run's own configuration does.
RunConfig config_with_places(const fs::path& checkpoint, const std::string& fingerprint) {
  RunConfig config = train::read_config(checkpoint);
  const std::optional<store::RunPaths> run = run_of(checkpoint);
  std::error_code ignored;
  if (!run || !fs::exists(run->config(), ignored)) return config;
  const RunConfig written = config_of_run(run->config());
  config.run.dir = run->root.string();
  config.corpus.train = written.corpus.train;
  config.corpus.valid = written.corpus.valid;
  config.corpus.prepared_dir = find_prepared_dir(written.corpus.prepared_dir, fingerprint,
                                                 base_directories(*run, written.run.dir));
  return config;
}

}  // namespace

NewestCheckpoint newest_checkpoint(const store::CheckpointStore& checkpoints) {
  NewestCheckpoint newest;
  newest.checkpoint = checkpoints.newest_valid(&newest.damaged);
  for (const store::DamagedCheckpoint& one : newest.damaged) train::warn_of_damage(one.reason);
  return newest;
}

std::optional<std::int64_t> saved_step_of(const store::RunPaths& run) {
  std::error_code ignored;
  if (!fs::exists(run.result(), ignored)) return std::nullopt;
  try {
    return store::read_run_result(run.result()).step;
  } catch (const UserError& error) {
    log::warn(error.what());
    return std::nullopt;
  }
}

std::optional<LostCheckpoint> find_lost_checkpoint(
    std::int64_t found, std::optional<std::int64_t> saved_step,
    const std::vector<store::DamagedCheckpoint>& damaged) {
  std::optional<LostCheckpoint> lost;
  for (const store::DamagedCheckpoint& one : damaged)
    if (one.step > std::max(found, lost ? lost->step : found))
      lost = LostCheckpoint{one.step, one.reason};
  if (saved_step && *saved_step > std::max(found, lost ? lost->step : found))
    lost = LostCheckpoint{
        *saved_step, cat("result.json reports step ", *saved_step, " as saved, but it is missing")};
  return lost;
}

bool is_checkpoint(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) return false;
  if (fs::exists(path / store::kManifestName, ignored)) return true;
  return store::checkpoint_step(fs::weakly_canonical(path, ignored).filename().string())
             .has_value() &&
         !store::is_run_directory(path);
}

store::Checkpoint find_checkpoint(const fs::path& run_or_checkpoint, OlderCheckpoint older) {
  std::error_code ignored;
  require(fs::is_directory(run_or_checkpoint, ignored), ExitCode::kMissingInput,
          run_or_checkpoint.string(), "directory not found; expected a run or a checkpoint");
  if (is_checkpoint(run_or_checkpoint))
    return {run_or_checkpoint, store::verify_checkpoint(run_or_checkpoint)};
  const store::RunPaths paths{run_or_checkpoint};
  require(store::is_run_directory(run_or_checkpoint), ExitCode::kMissingInput,
          run_or_checkpoint.string(), "neither a run nor a checkpoint");
  const std::optional<std::int64_t> saved_step = saved_step_of(paths);
  std::vector<store::DamagedCheckpoint> damaged;
  std::optional<store::Checkpoint> newest =
      store::CheckpointStore(paths.checkpoints()).newest_valid(&damaged);
  require(newest.has_value(), ExitCode::kNoCheckpoint, paths.checkpoints().string(),
          damaged.empty() ? "no checkpoint yet"
                          : cat(count_of(static_cast<std::int64_t>(damaged.size()), "checkpoint"),
                                ", none valid"));
  if (const std::optional<LostCheckpoint> lost =
          find_lost_checkpoint(newest->manifest.step, saved_step, damaged)) {
    if (older == OlderCheckpoint::kRefuse)
      fail(ExitCode::kNoCheckpoint, run_or_checkpoint.string(),
           cat("newest checkpoint, step ", lost->step, ", is lost: ", lost->reason,
               "; restore it from a copy, or use --allow-older-checkpoint for step ",
               newest->manifest.step));
    log::warn(cat(run_or_checkpoint.string(), ": using step ", newest->manifest.step,
                  " because step ", lost->step, " is lost: ", lost->reason));
  }
  return *std::move(newest);
}

OpenedCheckpoint open_checkpoint(const fs::path& run_or_checkpoint, OlderCheckpoint older) {
  OpenedCheckpoint opened{.checkpoint = find_checkpoint(run_or_checkpoint, older),
                          .run = {},
                          .state = {},
                          .tokenizer = {},
                          .model = {}};
  const fs::path& directory = opened.checkpoint.directory;
  opened.state = train::read_state(directory);
  opened.run = train::read_resolved(config_with_places(directory, opened.state.fingerprint));
  opened.tokenizer = train::read_tokenizer(opened.checkpoint);
  opened.device = train::device_or_cpu(opened.run.device);
  train::use_arithmetic(opened.run.config.train);
  train::use_threads(opened.run.threads);
  const RunConfig& config = opened.run.config;
  opened.model = eval::load_model(
      config.model, train::vocabulary(config, *opened.tokenizer),
      train::sequences_of(config, train::start_id(*opened.tokenizer)),
      directory / "model.safetensors",
      {.device = opened.device, .compute = train::compute_type(opened.run.precision)});
  return opened;
}

data::PreparedData open_data(const OpenedCheckpoint& opened) {
  require(!opened.state.fingerprint.empty(), ExitCode::kUsage, opened.checkpoint.directory.string(),
          "no held-out data; pass --data FILE");
  return data::open_prepared(opened.run.config.corpus.prepared_dir, opened.state.fingerprint);
}

data::PreparedData open_data(const store::Checkpoint& verified) {
  const std::string fingerprint = train::read_state(verified.directory).fingerprint;
  return data::open_prepared(
      config_with_places(verified.directory, fingerprint).corpus.prepared_dir, fingerprint);
}

}  // namespace sluice::run
