// Conditions across the fields of the configuration.
#include "train/run_config.h"

#include <algorithm>
#include <cctype>

#include "base/text_format.h"

namespace sluice::train {
namespace {

constexpr std::int64_t kMaxSteps = std::int64_t{1} << 40;

bool is_device(std::string_view text) {
  if (text == "cpu" || text == "cuda") return true;
  if (!text.starts_with("cuda:")) return false;
  text.remove_prefix(5);
  return !text.empty() && text.size() <= 2 && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

void check_schedule(const RunConfig& c, config::Problems& problems) {
  const auto* t5 = std::get_if<optim::T5Schedule>(&c.schedule);
  if (t5 == nullptr || t5->total_steps.is_word() || !c.train.steps || *t5->total_steps >= *c.train.steps) return;
  problems.add("schedule.total_steps", cat(*t5->total_steps), cat("auto, or at least train.steps ", *c.train.steps));
}

}  // namespace

void TrainConfig::check(const TrainConfig& c, config::Problems& problems) {
  const int num_lengths = c.steps.has_value() + c.tokens.has_value() + c.epochs.has_value();
  if (num_lengths != 1)
    problems.add("steps", num_lengths == 0 ? "no length" : "more than one length", "exactly one of steps, tokens and epochs");
  if (c.steps && *c.steps > kMaxSteps) problems.add("steps", cat(*c.steps), cat("at most ", kMaxSteps));
  if (!c.micro_batch_sequences.is_word() && *c.micro_batch_sequences > c.batch_sequences)
    problems.add("micro_batch_sequences", cat(*c.micro_batch_sequences), cat("at most batch_sequences ", c.batch_sequences));
  if (!c.device.is_word() && !is_device(*c.device)) problems.add("device", *c.device, "auto, cpu, cuda or cuda:N");
  constexpr std::int64_t kMaxTokensPerStep = std::int64_t{1} << 31;
  if (c.sequence_length > kMaxTokensPerStep / std::max<std::int64_t>(c.batch_sequences, 1))
    problems.add("batch_sequences", cat(c.batch_sequences, " of ", c.sequence_length, " tokens"),
                 cat("at most ", kMaxTokensPerStep, " tokens per step"));
}

void RunConfig::check(const RunConfig& c, config::Problems& problems) {
  check_schedule(c, problems);
  const auto* decoder = std::get_if<model::DecoderConfig>(&c.model);
  if (decoder == nullptr) return;
  const auto* learned = std::get_if<nn::LearnedConfig>(&decoder->position);
  if (learned != nullptr && !learned->max_length.is_word() && *learned->max_length < c.train.sequence_length)
    problems.add("model.position.max_length", cat(*learned->max_length), cat("at least train.sequence_length ", c.train.sequence_length));
}

}  // namespace sluice::train
