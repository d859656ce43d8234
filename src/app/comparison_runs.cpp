#include "app/comparison_runs.h"

#include <initializer_list>
#include <string_view>
#include <utility>
#include <variant>

#include "app/outputs.h"
#include "base/error.h"
#include "base/machine.h"
#include "base/text_format.h"
#include "base/threads.h"
#include "compare/grid.h"
#include "config/names.h"
#include "ops/cuda.h"

namespace sluice::app {
namespace {

// The running binary, even if the file was replaced meanwhile.
constexpr std::string_view kProgram = "/proc/self/exe";

std::vector<std::string> words_of(std::initializer_list<std::string_view> words) {
  return {words.begin(), words.end()};
}

data::PrepareSettings settings_of(const train::RunConfig& config) {
  return {.corpus = config.corpus, .tokenizer = config.tokenizer, .num_threads = auto_threads()};
}

// The varied and tuned values, each with its section.
std::vector<config::Setting> settings_of(const compare::RunRequest& request) {
  std::vector<config::Setting> settings;
  const std::vector<std::string> overrides = compare::overrides_of(request.settings);
  for (std::size_t i = 0; i < overrides.size(); ++i)
    settings.push_back(
        {i + request.num_tuned < overrides.size() ? "compare.vary" : "compare.tune", overrides[i]});
  return settings;
}

std::string data_key(train::RunConfig config) {
  train::RunConfig only;
  only.corpus = std::move(config.corpus);
  only.tokenizer = std::move(config.tokenizer);
  return config::to_yaml(only, config::Comments::kNone);
}

std::string text_of(const train::RunConfig& config) {
  return config::to_yaml(config, config::Comments::kNone);
}

std::optional<compare::GpuFacts> gpu_facts(const std::string& device) {
  const c10::Device place(device);
  if (place.is_cpu()) return std::nullopt;
  const auto& card = ops::gpu_support(place).card;
  return compare::GpuFacts{.name = card->name, .memory_bytes = card->memory_bytes};
}

// Every run must end with the compared metric, measured on text not used for tuning.
void require_final_metric(const train::RunConfig& config, const compare::CompareConfig& compare) {
  require(config.evaluate.every_steps.value.has_value(), ExitCode::kUsage, "evaluate.every_steps",
          "never", "a number, since runs are compared by the evaluation after the last step");
  require(!config.corpus.valid.empty() || config.corpus.holdout > 0 ||
              config.evaluate.split != train::Split::kValid,
          ExitCode::kUsage, "corpus.holdout", "0 and no corpus.valid",
          "held-out text, since runs are compared on it");
  if (compare.metric == compare::Metric::kBitsPerByte && config.evaluate.final_max_tokens.value)
    fail(ExitCode::kUsage, "evaluate.final_max_tokens",
         cat(*config.evaluate.final_max_tokens.value),
         "all, since bits_per_byte requires the whole held-out set");
  require(!compare.tune || config.evaluate.split != train::Split::kTune, ExitCode::kUsage,
          "evaluate.split", "tune", "valid, since compare.tune selects values on the tuning split");
}

// compare.average_last: enough evaluations of the same tokens as the last one.
void require_evaluations(const train::RunConfig& config, std::int64_t count) {
  if (config.evaluate.max_tokens.value != config.evaluate.final_max_tokens.value)
    fail(ExitCode::kUsage, "evaluate.max_tokens",
         config.evaluate.max_tokens.value ? cat(*config.evaluate.max_tokens.value) : "all",
         cat(config.evaluate.final_max_tokens.value ? cat(*config.evaluate.final_max_tokens.value)
                                                    : "all",
             ", as in final_max_tokens, since compare.average_last needs evaluations of the same "
             "tokens"));
  const std::optional<std::int64_t> steps = config.train.steps;
  const std::int64_t every = config.evaluate.every_steps.value.value_or(0);
  if (!steps || every <= 0) return;  // checked again when a run has finished
  const std::int64_t num_evaluations = *steps / every + (*steps % every != 0);
  require(num_evaluations >= count, ExitCode::kUsage, "compare.average_last", cat(count),
          cat("at most ", num_evaluations, ", the evaluations of ", *steps, " steps"));
}

// Each variant has its own number of steps and finishes its own schedule.
void require_own_schedule(const optim::ScheduleConfig& schedule) {
  const auto* t5 = std::get_if<optim::T5Schedule>(&schedule);
  if (t5 != nullptr && t5->total_steps.value)
    fail(ExitCode::kUsage, "schedule.total_steps", cat(*t5->total_steps.value),
         "auto, since with compare.equalize: time the number of steps differs between variants");
}

// RunFacts::averaged_steps.
std::string averaged_steps(const ComparisonConfig& config) {
  const std::int64_t count = config.compare ? config.compare->average_last.value_or(1) : 1;
  if (count == 1) return "";
  return cat("every ", config.run.evaluate.every_steps.value.value_or(0), " steps");
}

}  // namespace

// A rollback returns to the last checkpoint, so the checkpoint interval is part of the experiment.
std::string identity_of(const train::RunConfig& config) {
  const bool rolls_back = config.train.divergence.policy == train::DivergencePolicy::kRollback;
  return cat(
      config::identity(config),
      rolls_back ? cat("checkpoint.every_steps: ", config.checkpoint.every_steps, "\n") : "");
}

ComparisonConfig ComparisonRuns::load(const compare::RunRequest& request) const {
  ComparisonConfig comparison = load_comparison(
      {.file = options_.config, .overrides = options_.overrides, .settings = settings_of(request)});
  train::RunConfig& config = comparison.run;
  if (comparison.compare) {
    require_final_metric(config, *comparison.compare);
    if (comparison.compare->average_last)
      require_evaluations(config, *comparison.compare->average_last);
    if (comparison.compare->equalize == compare::Equalize::kTime)
      require_own_schedule(config.schedule);
  }
  config.run.name = request.name;
  config.run.dir = request.run_dir.string();
  config.run.seed = request.seed;
  if (request.steps) {
    config.train.steps = request.steps;
    config.train.tokens.reset();
    config.train.epochs.reset();
  }
  config.train.threads = config.train.threads.value_or(request.threads);
  config.train.tensorboard = config.train.tensorboard.value_or(false);
  if (request.on_tuning_split) {
    require(config.corpus.tune_holdout > 0, ExitCode::kUsage, "corpus.tune_holdout", "0",
            "a share of the training text for compare.tune, e.g. 0.05");
    config.evaluate.split = train::Split::kTune;
  }
  return comparison;
}

const ComparisonRuns::Data& ComparisonRuns::data_of(const train::RunConfig& config) {
  const std::string key = data_key(config);
  if (const auto known = data_.find(key); known != data_.end()) return known->second;
  Data data;
  try {
    if (const auto prepared = data::find_prepared(settings_of(config)))
      data = {.fingerprint = prepared->fingerprint,
              .tokenizer_hash = prepared->tokenizer->hash().hex(),
              .hashes = prepared->hashes};
  } catch (const UserError& error) {  // a missing corpus is an error only once it is needed
    if (error.code() != ExitCode::kMissingInput && error.code() != ExitCode::kUsage) throw;
  }
  return data_.emplace(key, data).first->second;
}

void ComparisonRuns::prepare(const compare::RunRequest& request) {
  const train::RunConfig config = load(request).run;
  const std::string key = data_key(config);
  if (!prepared_.insert(key).second) return;
  const data::PreparedData prepared = data::prepare(settings_of(config));
  data_.insert_or_assign(key, Data{.fingerprint = prepared.fingerprint,
                                   .tokenizer_hash = prepared.tokenizer->hash().hex(),
                                   .hashes = prepared.hashes});
  plans_.clear();  // made before the data was known
}

compare::RunFacts ComparisonRuns::make(const compare::RunRequest& request) {
  const ComparisonConfig comparison = load(request);
  train::RunConfig config = comparison.run;
  const train::RunSection run = config.run;
  config.run = {};
  const Data& data = data_of(config);
  const std::string key = text_of(config);
  auto plan = plans_.find(key);
  if (plan == plans_.end())
    plan = plans_.emplace(key, run::make_plan(config, text::Notes::kNone, run::Probe::kRun)).first;
  const run::Plan& p = plan->second;
  train::RunConfig resolved = p.run.config;
  resolved.run = run;
  const std::optional<compare::GpuFacts> gpu = gpu_facts(p.run.device);
  return {.config = config::to_yaml(resolved),
          .identity = identity_of(resolved),
          .averaged_steps = averaged_steps(comparison),
          .data_fingerprint = data.fingerprint,
          .tokenizer_hash = data.tokenizer_hash,
          .held_out_hash = data.hashes[train::split_of(resolved.evaluate.split)],
          .objective = std::string(data::kind_of(resolved.objective)),
          .targets_are_text = p.run.objective->targets_are_text(),
          .env = {.cpu = machine().cpu_model,
                  .device = p.run.device,
                  .precision = std::string(config::name_of(p.run.precision)),
                  .threads = p.run.threads,
                  .micro_batch_sequences = p.run.micro_batch_sequences,
                  .repeatable = p.run.is_repeatable(),
                  .gpu = gpu ? gpu->name : "",
                  .portable = resolved.train.reproducible == train::Reproducible::kPortable},
          .gpu = gpu,
          .sizes = variant_sizes(p.sizes),
          .steps = p.total_steps,
          .tokens_per_step = p.run.tokens_per_step()};
}

std::vector<std::string> ComparisonRuns::train_command(const std::filesystem::path& config,
                                                       const std::filesystem::path& run_dir) const {
  return words_of(
      {kProgram, "train", config.string(), "--resume", "--run-dir", run_dir.string(), "--json"});
}

std::vector<std::string> ComparisonRuns::measure_command(
    const std::filesystem::path& config) const {
  return words_of({kProgram, "plan", config.string(), "--measure", "--json"});
}

std::vector<std::string> ComparisonRuns::worker_command() const {
  return words_of({kProgram, kWorkerCommand});
}

}  // namespace sluice::app
