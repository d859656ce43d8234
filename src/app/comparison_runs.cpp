#include "app/comparison_runs.h"

#include <initializer_list>
#include <string_view>
#include <utility>
#include <variant>

#include "base/error.h"
#include "base/machine.h"
#include "base/text_format.h"
#include "base/threads.h"
#include "compare/grid.h"
#include "config/names.h"

namespace sluice::app {
namespace {

// A child of this very program, also where the file was replaced since.
constexpr std::string_view kProgram = "/proc/self/exe";

std::vector<std::string> words_of(std::initializer_list<std::string_view> words) { return {words.begin(), words.end()}; }

data::PrepareSettings settings_of(const train::RunConfig& config) {
  return {.corpus = config.corpus, .tokenizer = config.tokenizer, .num_threads = auto_threads()};
}

// The varied and the tuned values, each with the section that has it.
std::vector<config::Setting> settings_of(const compare::RunRequest& request) {
  std::vector<config::Setting> settings;
  const std::vector<std::string> overrides = compare::overrides_of(request.settings);
  for (std::size_t i = 0; i < overrides.size(); ++i)
    settings.push_back({i + request.num_tuned < overrides.size() ? "compare.vary" : "compare.tune", overrides[i]});
  return settings;
}

std::string data_key(train::RunConfig config) {
  train::RunConfig only;
  only.corpus = std::move(config.corpus);
  only.tokenizer = std::move(config.tokenizer);
  return config::to_yaml(only, config::Comments::kNone);
}

std::string text_of(const train::RunConfig& config) { return config::to_yaml(config, config::Comments::kNone); }

// A rollback returns to the last checkpoint: where they are belongs to the experiment then.
std::string identity_of(const train::RunConfig& config) {
  const bool rolls_back = config.train.divergence.policy == train::DivergencePolicy::kRollback;
  return cat(config::identity(config), rolls_back ? cat("checkpoint.every_steps: ", config.checkpoint.every_steps, "\n") : "");
}

// Every run must end with the figure that is compared, on text that nothing was chosen on.
void require_figure(const train::RunConfig& config, const compare::CompareConfig& compare) {
  require(config.evaluate.every_steps.value.has_value(), ExitCode::kUsage, "evaluate.every_steps", "never",
          "a number: without the evaluation after the last step there is nothing to compare");
  require(!config.corpus.valid.empty() || config.corpus.holdout > 0 || config.evaluate.split != train::Split::kValid, ExitCode::kUsage,
          "corpus.holdout", "0 and no corpus.valid", "text that is held out: without it there is nothing to compare");
  require(compare.metric != compare::Metric::kBitsPerByte || !config.evaluate.final_max_tokens.value, ExitCode::kUsage,
          "evaluate.final_max_tokens", "a part of the held-out text", "all: bits_per_byte is known of the whole only");
  require(!compare.tune || config.evaluate.split != train::Split::kTune, ExitCode::kUsage, "evaluate.split", "tune",
          "valid: compare.tune chooses on the other, which no reported figure may see");
}

// Each variant finishes its own schedule.
void require_own_schedule(const optim::ScheduleConfig& schedule) {
  const auto* t5 = std::get_if<optim::T5Schedule>(&schedule);
  require(t5 == nullptr || !t5->total_steps.value, ExitCode::kUsage, "schedule.total_steps", "a number",
          "auto: compare.equalize time gives each variant steps, and a schedule, of its own");
}

}  // namespace

train::RunConfig ComparisonRuns::load(const compare::RunRequest& request) const {
  ComparisonConfig comparison =
      load_comparison({.file = options_.config, .overrides = options_.overrides, .settings = settings_of(request)});
  train::RunConfig config = std::move(comparison.run);
  if (comparison.compare) {
    require_figure(config, *comparison.compare);
    if (comparison.compare->equalize == compare::Equalize::kTime) require_own_schedule(config.schedule);
  }
  config.run = {.name = request.name, .dir = request.run_dir.string(), .seed = request.seed};
  if (request.steps) {
    config.train.steps = request.steps;
    config.train.tokens.reset();
    config.train.epochs.reset();
  }
  config.train.threads = config.train.threads.value_or(request.threads);
  if (request.on_tuning_split) {
    require(config.corpus.tune_holdout > 0, ExitCode::kUsage, "corpus.tune_holdout", "0",
            "a share of the training text to choose on, such as 0.05: compare.tune needs a third split");
    config.evaluate.split = train::Split::kTune;
  }
  return config;
}

const ComparisonRuns::Data& ComparisonRuns::data_of(const train::RunConfig& config) {
  const std::string key = data_key(config);
  if (const auto known = data_.find(key); known != data_.end()) return known->second;
  Data data;
  try {
    if (const auto prepared = data::find_prepared(settings_of(config)))
      data = {.fingerprint = prepared->fingerprint, .tokenizer_hash = prepared->tokenizer->hash().hex()};
  } catch (const UserError& error) {  // a corpus that is not there is no error before it is needed
    if (error.code() != ExitCode::kMissingInput && error.code() != ExitCode::kUsage) throw;
  }
  return data_.emplace(key, data).first->second;
}

void ComparisonRuns::prepare(const compare::RunRequest& request) {
  const train::RunConfig config = load(request);
  const std::string key = data_key(config);
  if (const auto known = data_.find(key); known != data_.end() && !known->second.fingerprint.empty()) return;
  const data::PreparedData prepared = data::prepare(settings_of(config));
  data_.insert_or_assign(key, Data{.fingerprint = prepared.fingerprint, .tokenizer_hash = prepared.tokenizer->hash().hex()});
  plans_.clear();  // made without knowing the data
}

compare::RunFacts ComparisonRuns::make(const compare::RunRequest& request) {
  train::RunConfig config = load(request);
  const train::RunSection run = config.run;
  config.run = {};
  const Data& data = data_of(config);
  const std::string key = text_of(config);
  auto plan = plans_.find(key);
  if (plan == plans_.end()) plan = plans_.emplace(key, train::make_plan(config, text::Notes::kNone)).first;
  const train::Plan& p = plan->second;
  train::RunConfig resolved = p.run.config;
  resolved.run = run;
  return {.config = config::to_yaml(resolved),
          .identity = identity_of(resolved),
          .data_fingerprint = data.fingerprint,
          .tokenizer_hash = data.tokenizer_hash,
          .objective = std::string(data::kind_of(resolved.objective)),
          .targets_are_text = p.run.objective->targets_are_text(),
          .maker = {.cpu = machine().cpu_model,
                    .device = p.run.device,
                    .precision = std::string(config::name_of(p.run.precision)),
                    .threads = p.run.threads,
                    .micro_batch_sequences = p.run.micro_batch_sequences},
          .num_parameters = p.sizes.num_parameters,
          .d_ff = p.sizes.d_ff,
          .d_ff_mismatch = p.sizes.d_ff_mismatch,
          .multiply_adds_per_token = p.sizes.multiply_adds_per_token(),
          .flops_per_token = p.sizes.flops_per_token,
          .steps = p.total_steps,
          .tokens_per_step = p.run.tokens_per_step()};
}

std::vector<std::string> ComparisonRuns::train_command(const std::filesystem::path& config, const std::filesystem::path& run_dir) const {
  return words_of({kProgram, "train", config.string(), "--resume", "--run-dir", run_dir.string(), "--json"});
}

std::vector<std::string> ComparisonRuns::measure_command(const std::filesystem::path& config) const {
  return words_of({kProgram, "plan", config.string(), "--measure", "--json"});
}

}  // namespace sluice::app
