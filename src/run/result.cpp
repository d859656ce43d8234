#include "run/result.h"

#include <cmath>
#include <optional>
#include <string>
#include <variant>

#include "base/error.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/text_format.h"
#include "base/version.h"
#include "config/config.h"
#include "config/names.h"
#include "ops/torch_compat.h"
#include "store/run_result.h"
#include "train/batches.h"
#include "train/metrics.h"

namespace sluice::run {
namespace {

using train::Metrics;
using train::Progress;
using train::ResolvedRun;
using train::RunConfig;
using train::TrainerParts;

// The result at `path`, if it has the same step and configuration.
std::optional<store::RunResult> existing_result(const store::RunResult& wanted, bool is_evaluated,
                                                const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return std::nullopt;
  try {
    store::RunResult found = store::read_run_result(path);
    if (found.step != wanted.step || found.data_fingerprint != wanted.data_fingerprint)
      return std::nullopt;
    // A resume without evaluation keeps the existing figure.
    if (found.config == wanted.config ||
        (!is_evaluated && found.figures.log_perplexity.has_value()))
      return found;
  } catch (const UserError& error) {
    if (error.code() != ExitCode::kBadData) throw;
    log::warn(cat(error.what(), "; rewriting it"));
  }
  return std::nullopt;
}

// Size of the softmax, padding included.
std::int64_t num_outputs(const RunConfig& config) {
  return std::visit([](const auto& model) { return *model.vocab_size; }, config.model);
}

// The held-out figure before the first step; none if it is not on the same tokens as the last one.
std::optional<double> initial_figure(const ResolvedRun& run, const Metrics& metrics) {
  if (run.evaluation_tokens != run.final_evaluation_tokens) return std::nullopt;
  for (const train::EvaluationLine& one : train::read_evaluations(metrics.path()))
    if (one.step == 0) return one.eval.figures.log_perplexity;
  return std::nullopt;
}

void warn_of(const store::RunResult& result) {
  if (const std::string warning = store::learned_nothing_warning(result); !warning.empty())
    log::warn(warning);
}

store::RunResult without_evaluation(const TrainerParts& parts, const Metrics& metrics,
                                    const Progress& progress) {
  const ResolvedRun& run = parts.run;
  const RunConfig& config = run.config;
  store::RunResult result;
  result.step = progress.step;
  result.tokens = progress.tokens;
  const model::ModelSizes sizes =
      train::sizes_of(config, train::vocabulary(config, *parts.data.tokenizer));
  result.num_parameters = sizes.num_parameters;
  result.flops_per_token = sizes.flops_per_token;
  result.multiply_adds_per_token = sizes.multiply_adds_per_token();
  result.training_seconds = train::read_training_seconds(metrics.path());
  result.config = config::to_yaml(train::portable_config(config), config::Comments::kNone);
  result.data_fingerprint = parts.data.fingerprint;
  result.tokenizer_hash = parts.data.tokenizer->hash().hex();
  result.build = build_name();
  result.libtorch = ops::torch_version();
  result.cpu = machine().cpu_model;
  result.device = run.device;
  result.precision = config::name_of(run.precision);
  result.threads = run.threads;
  return result;
}

}  // namespace

bool needs_evaluation(const TrainerParts& parts, const train::Evaluator& evaluator,
                      const Metrics& metrics, const Progress& progress,
                      const std::filesystem::path& path) {
  return evaluator.is_due(progress.step) && !evaluator.final_result() &&
         !existing_result(without_evaluation(parts, metrics, progress), /*is_evaluated=*/true,
                          path);
}

void write_result(const TrainerParts& parts, const train::Evaluator& evaluator,
                  const Metrics& metrics, const Progress& progress,
                  const std::filesystem::path& path) {
  store::RunResult result = without_evaluation(parts, metrics, progress);
  const bool evaluated = evaluator.is_due(progress.step);
  if (const auto found = existing_result(result, evaluated, path)) return warn_of(*found);
  if (evaluated) {
    const eval::Perplexity p =
        evaluator.final_result() ? *evaluator.final_result() : evaluator.measure(progress.step);
    result.figures = p.figures;
    result.uniform_log_perplexity = std::log(static_cast<double>(num_outputs(parts.run.config)));
    result.initial_log_perplexity = initial_figure(parts.run, metrics);
    result.num_targets = p.num_tokens;
    result.num_dropped_tokens = p.num_dropped_tokens;
    result.documents = p.documents;
  }
  store::write_run_result(result, path);
  warn_of(result);
}

}  // namespace sluice::run
