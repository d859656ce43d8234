// Checks across the fields of the configuration.
#include "train/run_config.h"

#include <algorithm>
#include <cctype>
#include <iterator>

#include "base/text_format.h"
#include "config/describe.h"

namespace sluice::train {
namespace {

constexpr std::int64_t kMaxSteps = std::int64_t{1} << 40;

bool is_device(std::string_view text) {
  if (text == "cpu" || text == "cuda") return true;
  if (!text.starts_with("cuda:")) return false;
  text.remove_prefix(5);
  return !text.empty() && text.size() <= 2 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

void check_schedule(const RunConfig& c, config::Problems& problems) {
  if (!c.train.steps) return;  // resolve() checks tokens and epochs, after conversion to steps
  if (const auto found = find_short_schedule(c, *c.train.steps))
    problems.add("schedule.total_steps", cat(found->total_steps), found->expected);
}

void check_lengths(const RunConfig& c, const data::Objective& objective,
                   config::Problems& problems) {
  const std::int64_t length = objective.segment_length();
  const std::string source = objective.segment_length_source();
  if (!source.empty() && c.train.sequence_length.value_or(length) != length)
    problems.add("train.sequence_length", cat(*c.train.sequence_length),
                 cat("auto or ", length, ", the length of raw segments for ", source));
  constexpr std::int64_t kMaxTokensPerStep = std::int64_t{1} << 31;
  if (length > kMaxTokensPerStep / std::max<std::int64_t>(c.train.batch_sequences, 1))
    problems.add("train.batch_sequences", cat(c.train.batch_sequences, " of ", length, " tokens"),
                 cat("at most ", kMaxTokensPerStep, " tokens per step"));
  if (const auto limit = model::length_limit(c.model); limit && limit->length < length)
    problems.add(cat("model.", limit->field), cat(limit->length),
                 cat("at least train.sequence_length ", length));
}

// A decoder continues its input; an encoder-decoder has separate inputs and targets.
void check_objective(const RunConfig& c, const data::Objective& objective,
                     config::Problems& problems) {
  const std::string_view kind = data::kind_of(c.objective);
  const bool shared = model::shares_positions(c.model);
  if (objective.shape().shared != shared)
    problems.add(
        "objective.type", kind,
        cat(data::kinds_that_share(shared), ", since model.type is ", model::kind_of(c.model)));
  if (objective.joins_documents() && c.corpus.separator != text::Separator::kNone)
    problems.add("corpus.separator", "eos",
                 cat("none, since objective.type is ", kind,
                     ": its documents are joined without end tokens"));
}

void check_sharding(const RunConfig& c, config::Problems& problems) {
  if (c.distributed.shard != cluster::Shard::kParameters) return;
  if (c.distributed.reduction.value == cluster::Reduction::kFast)
    problems.add("distributed.reduction", "fast", "exact with distributed.shard: parameters");
  if (c.train.device.value_or("cpu") != "cpu")
    problems.add("train.device", *c.train.device, "cpu with distributed.shard: parameters");
  if (!c.evaluate.samples.prompts.empty())
    problems.add("evaluate.samples.prompts",
                 count_of(std::ssize(c.evaluate.samples.prompts), "prompt"),
                 "none with distributed.shard: parameters, since no process has the whole model");
}

}  // namespace

std::optional<ShortSchedule> find_short_schedule(const RunConfig& config, std::int64_t steps) {
  const auto* t5 = std::get_if<optim::T5Schedule>(&config.schedule);
  if (t5 == nullptr || t5->total_steps.value_or(steps) >= steps) return std::nullopt;
  return ShortSchedule{*t5->total_steps, cat("auto, or at least train.steps ", steps)};
}

std::unique_ptr<const data::Objective> objective_of(const RunConfig& c) {
  return data::make_objective(c.objective, c.train.sequence_length.value);
}

std::int64_t sequence_length(const RunConfig& c) { return objective_of(c)->segment_length(); }

void TrainConfig::check(const TrainConfig& c, config::Problems& problems) {
  const int num_lengths = c.steps.has_value() + c.tokens.has_value() + c.epochs.has_value();
  if (num_lengths != 1)
    problems.add("steps", num_lengths == 0 ? "no length" : "more than one length",
                 "exactly one of steps, tokens and epochs");
  if (c.steps && *c.steps > kMaxSteps)
    problems.add("steps", cat(*c.steps), cat("at most ", kMaxSteps));
  if (c.micro_batch_sequences.value_or(1) > c.batch_sequences)
    problems.add("micro_batch_sequences", cat(*c.micro_batch_sequences),
                 cat("at most batch_sequences ", c.batch_sequences));
  if (c.device.value && !is_device(*c.device))
    problems.add("device", *c.device, "auto, cpu, cuda or cuda:N");
  if (c.reproducible == Reproducible::kPortable) {
    if (c.device.value_or("cpu") != "cpu")
      problems.add("device", *c.device, "cpu with train.reproducible: portable");
    if (c.reductions == ops::Reductions::kCompute)
      problems.add("reductions", "compute", "fp32 with train.reproducible: portable");
  }
}

void RunConfig::check(const RunConfig& c, config::Problems& problems) {
  const std::unique_ptr<const data::Objective> objective = objective_of(c);
  check_lengths(c, *objective, problems);
  check_objective(c, *objective, problems);
  check_schedule(c, problems);
  check_sharding(c, problems);
  if (c.evaluate.split == Split::kTune && c.corpus.tune_holdout == 0)
    problems.add("corpus.tune_holdout", "0", "a share above 0, since evaluate.split is tune");
}

}  // namespace sluice::train

template const sluice::config::Section& sluice::config::describe<sluice::train::RunConfig>();
