#include "train/open_checkpoint.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/text_format.h"
#include "config/config.h"
#include "eval/load_model.h"
#include "store/run_directory.h"
#include "store/run_result.h"
#include "train/batches.h"
#include "train/execution.h"
#include "train/places.h"
#include "train/resolve.h"

namespace sluice::train {
namespace {

namespace fs = std::filesystem;

// The run that a checkpoint lies in, if it does: RUN/checkpoints/step-N.
std::optional<store::RunPaths> run_of(const fs::path& checkpoint) {
  std::error_code ignored;
  const fs::path absolute = fs::weakly_canonical(checkpoint, ignored);
  const store::RunPaths paths{absolute.parent_path().parent_path()};
  if (absolute.parent_path() != paths.checkpoints() || !store::is_run_directory(paths.root)) return std::nullopt;
  return paths;
}

// What a program wrote is data here, not a person's configuration.
RunConfig config_of_run(const fs::path& path) {
  try {
    return config::load<RunConfig>({.file = path, .overrides = {}});
  } catch (const UserError& error) {
    if (error.code() != ExitCode::kUsage) throw;
    throw UserError(ExitCode::kBadData, error.what());
  }
}

// Places are not part of a checkpoint; the run's own configuration has them.
RunConfig config_with_places(const fs::path& checkpoint, const std::string& fingerprint) {
  RunConfig config = read_config(checkpoint);
  const std::optional<store::RunPaths> run = run_of(checkpoint);
  std::error_code ignored;
  if (!run || !fs::exists(run->config(), ignored)) return config;
  const RunConfig written = config_of_run(run->config());
  config.run.dir = run->root.string();
  config.corpus.train = written.corpus.train;
  config.corpus.valid = written.corpus.valid;
  config.corpus.prepared_dir = find_prepared_dir(written.corpus.prepared_dir, fingerprint, starts_of(*run, written.run.dir));
  return config;
}

}  // namespace

void warn_of_damage(std::string_view reason) { log::warn(cat("skipping a damaged checkpoint: ", reason)); }

Newest newest_checkpoint(const store::CheckpointStore& checkpoints) {
  Newest newest;
  newest.checkpoint = checkpoints.newest_valid(&newest.damaged);
  for (const store::DamagedCheckpoint& one : newest.damaged) warn_of_damage(one.reason);
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

std::optional<Lost> find_lost(std::int64_t found, std::optional<std::int64_t> saved_step,
                              const std::vector<store::DamagedCheckpoint>& damaged) {
  std::optional<Lost> lost;
  for (const store::DamagedCheckpoint& one : damaged)
    if (one.step > std::max(found, lost ? lost->step : found)) lost = Lost{one.step, one.reason};
  if (saved_step && *saved_step > std::max(found, lost ? lost->step : found))
    lost = Lost{*saved_step, cat("result.json says that step ", *saved_step, " was saved, but it is not there")};
  return lost;
}

bool is_checkpoint(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) return false;
  if (fs::exists(path / store::kManifestName, ignored)) return true;
  return store::checkpoint_step(fs::weakly_canonical(path, ignored).filename().string()).has_value() && !store::is_run_directory(path);
}

store::Checkpoint find_checkpoint(const fs::path& run_or_checkpoint, Older older) {
  std::error_code ignored;
  require(fs::is_directory(run_or_checkpoint, ignored), ExitCode::kMissingInput, run_or_checkpoint.string(), "no such directory",
          "needs a run directory or a checkpoint");
  if (is_checkpoint(run_or_checkpoint)) return {run_or_checkpoint, store::verify_checkpoint(run_or_checkpoint)};
  const store::RunPaths paths{run_or_checkpoint};
  require(store::is_run_directory(run_or_checkpoint), ExitCode::kMissingInput, run_or_checkpoint.string(), "neither a run nor a checkpoint",
          "needs a run directory or a checkpoint");
  const std::optional<std::int64_t> saved_step = saved_step_of(paths);
  std::vector<store::DamagedCheckpoint> damaged;
  std::optional<store::Checkpoint> newest = store::CheckpointStore(paths.checkpoints()).newest_valid(&damaged);
  require(newest.has_value(), ExitCode::kNoCheckpoint, paths.checkpoints().string(),
          damaged.empty() ? "no checkpoint yet" : cat(count_of(static_cast<std::int64_t>(damaged.size()), "checkpoint"), ", none valid"),
          "needs one that verifies");
  if (const std::optional<Lost> lost = find_lost(newest->manifest.step, saved_step, damaged)) {
    if (older == Older::kRefuse)
      fail(ExitCode::kNoCheckpoint, run_or_checkpoint.string(),
           cat("its newest checkpoint, step ", lost->step, ", is lost: ", lost->reason),
           cat("a copy of it, or --allow-older-checkpoint to take step ", newest->manifest.step));
    log::warn(
        cat(run_or_checkpoint.string(), ": taking step ", newest->manifest.step, ", since step ", lost->step, " is lost: ", lost->reason));
  }
  return *std::move(newest);
}

OpenedCheckpoint open_checkpoint(const fs::path& run_or_checkpoint, Older older) {
  OpenedCheckpoint opened{.checkpoint = find_checkpoint(run_or_checkpoint, older), .run = {}, .state = {}, .tokenizer = {}, .model = {}};
  const fs::path& directory = opened.checkpoint.directory;
  opened.state = read_state(directory);
  opened.run = read_resolved(config_with_places(directory, opened.state.fingerprint));
  opened.tokenizer = read_tokenizer(opened.checkpoint);
  opened.device = device_of(has_device(opened.run.device) ? opened.run.device : "cpu");
  use_threads(opened.run.threads);
  const RunConfig& config = opened.run.config;
  opened.model =
      eval::load_model(config.model, vocabulary(config, *opened.tokenizer), sequences_of(config, start_id(*opened.tokenizer)),
                       directory / "model.safetensors", {.device = opened.device, .compute = compute_type(opened.run.precision)});
  return opened;
}

data::PreparedData open_data(const OpenedCheckpoint& opened) {
  return data::open_prepared(opened.run.config.corpus.prepared_dir, opened.state.fingerprint);
}

data::PreparedData open_data(const store::Checkpoint& verified) {
  const std::string fingerprint = read_state(verified.directory).fingerprint;
  return data::open_prepared(config_with_places(verified.directory, fingerprint).corpus.prepared_dir, fingerprint);
}

}  // namespace sluice::train
