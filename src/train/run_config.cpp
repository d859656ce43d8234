// Conditions across the fields of the configuration.
#include "train/run_config.h"

#include <algorithm>
#include <cctype>

#include "base/text_format.h"
#include "data/span_corruption.h"

namespace sluice::train {
namespace {

constexpr std::int64_t kSequenceLength = 256;  // of causal_lm, where nothing else is said
constexpr std::int64_t kMaxSteps = std::int64_t{1} << 40;

bool is_device(std::string_view text) {
  if (text == "cpu" || text == "cuda") return true;
  if (!text.starts_with("cuda:")) return false;
  text.remove_prefix(5);
  return !text.empty() && text.size() <= 2 && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

void check_schedule(const RunConfig& c, config::Problems& problems) {
  if (!c.train.steps) return;  // tokens and epochs become steps later: resolve() asks again
  if (const auto found = find_short_schedule(c, *c.train.steps))
    problems.add("schedule.total_steps", cat(found->total_steps), found->expected);
}

void check_lengths(const RunConfig& c, config::Problems& problems) {
  const std::int64_t length = sequence_length(c);
  const auto* spans = std::get_if<data::SpanCorruptionConfig>(&c.objective);
  if (spans != nullptr && !c.train.sequence_length.is_word() && *c.train.sequence_length != length)
    problems.add("train.sequence_length", cat(*c.train.sequence_length),
                 cat("auto or ", length, ", the raw segments that objective.input_length ", spans->input_length, " is made from"));
  constexpr std::int64_t kMaxTokensPerStep = std::int64_t{1} << 31;
  if (length > kMaxTokensPerStep / std::max<std::int64_t>(c.train.batch_sequences, 1))
    problems.add("train.batch_sequences", cat(c.train.batch_sequences, " of ", length, " tokens"),
                 cat("at most ", kMaxTokensPerStep, " tokens per step"));
  const auto* decoder = std::get_if<model::DecoderConfig>(&c.model);
  const auto* learned = decoder != nullptr ? std::get_if<nn::LearnedConfig>(&decoder->position) : nullptr;
  if (learned != nullptr && !learned->max_length.is_word() && *learned->max_length < length)
    problems.add("model.position.max_length", cat(*learned->max_length), cat("at least train.sequence_length ", length));
}

// A decoder continues text, an encoder-decoder fills in spans of it.
void check_objective(const RunConfig& c, config::Problems& problems) {
  const bool decoder = std::holds_alternative<model::DecoderConfig>(c.model),
             causal = std::holds_alternative<data::CausalConfig>(c.objective);
  if (decoder && !causal) problems.add("objective.type", "span_corruption", "causal_lm, since model.type is decoder");
  if (!decoder && causal) problems.add("objective.type", "causal_lm", "span_corruption, since model.type is encoder_decoder");
  if (!causal && c.corpus.separator != text::Separator::kNone)
    problems.add("corpus.separator", "eos", "none, since objective.type is span_corruption: its documents are joined without end tokens");
}

}  // namespace

std::optional<ShortSchedule> find_short_schedule(const RunConfig& config, std::int64_t steps) {
  const auto* t5 = std::get_if<optim::T5Schedule>(&config.schedule);
  if (t5 == nullptr || t5->total_steps.is_word() || *t5->total_steps >= steps) return std::nullopt;
  return ShortSchedule{*t5->total_steps, cat("auto, or at least train.steps ", steps)};
}

std::int64_t sequence_length(const RunConfig& c) {
  if (const auto* spans = std::get_if<data::SpanCorruptionConfig>(&c.objective)) return data::segment_length_for(*spans);
  return c.train.sequence_length.is_word() ? kSequenceLength : *c.train.sequence_length;
}

void TrainConfig::check(const TrainConfig& c, config::Problems& problems) {
  const int num_lengths = c.steps.has_value() + c.tokens.has_value() + c.epochs.has_value();
  if (num_lengths != 1)
    problems.add("steps", num_lengths == 0 ? "no length" : "more than one length", "exactly one of steps, tokens and epochs");
  if (c.steps && *c.steps > kMaxSteps) problems.add("steps", cat(*c.steps), cat("at most ", kMaxSteps));
  if (!c.micro_batch_sequences.is_word() && *c.micro_batch_sequences > c.batch_sequences)
    problems.add("micro_batch_sequences", cat(*c.micro_batch_sequences), cat("at most batch_sequences ", c.batch_sequences));
  if (!c.device.is_word() && !is_device(*c.device)) problems.add("device", *c.device, "auto, cpu, cuda or cuda:N");
}

void RunConfig::check(const RunConfig& c, config::Problems& problems) {
  check_lengths(c, problems);
  check_objective(c, problems);
  check_schedule(c, problems);
  if (c.evaluate.split == Split::kTune && c.corpus.tune_holdout == 0)
    problems.add("corpus.tune_holdout", "0", "a share above 0, since evaluate.split is tune");
}

}  // namespace sluice::train
