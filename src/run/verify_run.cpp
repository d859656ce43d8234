#include "run/verify_run.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/signals.h"
#include "base/text_format.h"
#include "config/config.h"
#include "run/open_checkpoint.h"
#include "run/run_record.h"
#include "store/metrics_log.h"
#include "store/run_directory.h"
#include "store/run_result.h"
#include "train/checkpoint.h"
#include "train/metrics_lines.h"

namespace sluice::run {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using train::RunConfig;

template <class Check>
Finding examine(const std::string& subject, Check check) {
  throw_if_stopped("verify");
  try {
    check();
    return {subject, "", {}};
  } catch (const UserError& error) {
    return {subject, error.what(), {}};
  }
}

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

// Settings that a resume may change can differ until its first checkpoint.
void check_config(const fs::path& path, const RunConfig& of_checkpoint) {
  const auto written = config::load<RunConfig>({.file = path, .overrides = {}});
  for (const config::Change& change :
       config::changes(train::portable_config(of_checkpoint), train::portable_config(written))) {
    if (config::rule_of(change.affects).on_resume == config::OnResume::kRefused)
      fail(ExitCode::kBadData, cat(path.string(), ": ", change.path), change.after,
           cat(change.before, ", as in the newest checkpoint"));
  }
}

void check_record(const store::RunPaths& paths, const std::string& fingerprint,
                  const std::string& tokenizer_hash) {
  const std::string path = paths.run_json().string();
  const std::optional<RunRecord> record = read_run_record(paths);
  require(record && record->data.fingerprint == fingerprint, ExitCode::kBadData, path,
          "data.fingerprint differs from that of the checkpoints");
  require(record->tokenizer.hash == tokenizer_hash, ExitCode::kBadData, path,
          "tokenizer.hash differs from that of the checkpoints");
}

// Perplexity is stored twice, as itself and as its logarithm.
void check_figures(const fs::path& path, std::int64_t step, double log_perplexity,
                   double perplexity) {
  if (!std::isfinite(log_perplexity) || !std::isfinite(perplexity)) return;
  if (std::exp(log_perplexity) != perplexity)
    fail(ExitCode::kBadData, path.string(),
         cat("step ", step, ": perplexity ", shortest(perplexity)),
         cat("the exponential of log_perplexity ", shortest(log_perplexity)));
}

// `saved_step`: of the newest checkpoint, which is saved after its lines.
void check_metrics(const fs::path& path, std::int64_t saved_step,
                   const std::optional<store::RunResult>& result) {
  std::int64_t last_step = 0;
  store::HeldOutFigures last;  // of the result's step
  store::read_metrics(path, [&](std::int64_t step, const Json& json) {
    throw_if_stopped("verify");
    if (json.contains("eval")) {
      const store::HeldOutFigures figures =
          config::from_json_object<train::EvaluationLine>(json, path.string()).eval.figures;
      if (figures.log_perplexity && figures.perplexity)
        check_figures(path, step, *figures.log_perplexity, *figures.perplexity);
      if (result && step == result->step) last = figures;
      return;
    }
    const auto line = config::from_json_object<train::StepLine>(json, path.string());
    check_figures(path, step, line.log_perplexity, line.perplexity);
    if (step != last_step + 1)
      fail(ExitCode::kBadData, path.string(), cat("step ", step, " after step ", last_step),
           "a line for each step");
    last_step = step;
  });
  if (last_step < saved_step)
    fail(ExitCode::kBadData, path.string(),
         cat("no line after step ", last_step, "; expected a line for each step up to ",
             saved_step));
  if (!last.log_perplexity || !result || !result->figures.log_perplexity) return;
  if (*last.log_perplexity != *result->figures.log_perplexity)
    fail(ExitCode::kBadData, path.string(),
         cat("log_perplexity ", shortest(*last.log_perplexity), " of step ", result->step),
         cat(shortest(*result->figures.log_perplexity), ", as in result.json"));
}

// Ignores checkpoints that a running process deletes meanwhile.
std::vector<Finding> examine_checkpoints(const store::CheckpointStore& checkpoints,
                                         std::optional<store::Checkpoint>& newest) {
  std::vector<Finding> findings;
  for (const std::int64_t step : checkpoints.steps()) {
    const fs::path directory = checkpoints.directory() / store::checkpoint_name(step);
    Finding finding = examine(directory.string(), [&] {
      newest = store::Checkpoint{directory, store::verify_checkpoint(directory)};
    });
    finding.step = step;
    if (finding.fault.empty() || is_there(directory)) findings.push_back(std::move(finding));
  }
  return findings;
}

}  // namespace

RunFindings verify_run(const fs::path& run) {
  const store::RunPaths paths{run};
  const store::CheckpointStore checkpoints(paths.checkpoints());
  RunFindings found;
  std::optional<store::RunResult> result;
  std::optional<Finding> about_result;
  if (is_there(paths.result()))
    about_result =
        examine(paths.result().string(), [&] { result = store::read_run_result(paths.result()); });
  std::optional<store::Checkpoint> newest;
  found.findings = examine_checkpoints(checkpoints, newest);
  if (!newest) {
    std::string faults = cat(
        count_of(static_cast<std::int64_t>(found.findings.size()), "checkpoint"), ", none valid");
    if (!found.findings.empty()) faults += cat(" (", found.findings.back().fault, ")");
    fail(ExitCode::kNoCheckpoint, run.string(), faults);
  }
  found.newest_step = newest->manifest.step;
  const auto add = [&](Finding finding) { found.findings.push_back(std::move(finding)); };
  const auto steps = checkpoints.steps();
  if (result && result->step > (steps.empty() ? 0 : steps.back())) {
    const std::string lost = (paths.checkpoints() / store::checkpoint_name(result->step)).string();
    add({lost, cat(lost, ": missing; result.json names it as the last checkpoint"), result->step});
  }
  const train::CheckpointState state = train::read_state(newest->directory);
  const std::string tokenizer_hash =
      newest->manifest.note("tokenizer_hash", newest->directory.string());
  // Every run has these three files; result.json is written at the end.
  add(examine(paths.config().string(),
              [&] { check_config(paths.config(), train::read_config(newest->directory)); }));
  add(examine(paths.run_json().string(),
              [&] { check_record(paths, state.fingerprint, tokenizer_hash); }));
  add(examine(paths.metrics().string(),
              [&] { check_metrics(paths.metrics(), found.newest_step, result); }));
  if (about_result) add(*std::move(about_result));
  // A model imported without a corpus has no data.
  if (!state.fingerprint.empty())
    add(examine("prepared data", [&] { open_data(*newest).verify(); }));
  return found;
}

}  // namespace sluice::run
