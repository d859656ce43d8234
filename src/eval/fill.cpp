#include "eval/fill.h"

#include <algorithm>
#include <limits>
#include <memory>

#include "base/error.h"
#include "base/text_format.h"
#include "eval/blanks.h"
#include "eval/sampling.h"
#include "eval/writer.h"

namespace sluice::eval {
namespace {

using Ids = std::vector<std::int32_t>;

constexpr std::int64_t kMostTokens = std::int64_t{1} << 40;

std::vector<Ids> encode_blanks(const text::Tokenizer& tokenizer, const data::SpanRules& rules,
                               const Prompt& prompt) {
  std::vector<Ids> parts = encode_around_blanks(tokenizer, rules, prompt);
  if (parts.size() == 1)
    fail(prompt.origin.code, prompt.origin.name,
         prompt.text.empty() ? "empty text" : printable(prompt.text),
         "at least one blank, written as three underscores, e.g. \"The ___ sat on the mat.\"");
  return parts;
}

std::string as_text(const text::Tokenizer& tokenizer, const Ids& ids) {
  TextStream stream;
  return std::string(stream.add(tokenizer.decode(ids), /*finished=*/true));
}

// Writes the spans of one prompt.
class SpanWriter final : public Writer {
 public:
  struct Task {
    const text::Tokenizer& tokenizer;
    const data::SpanRules& rules;
    std::int64_t num_tokens = 0;
    bool log_probabilities = false;
    std::optional<std::int32_t> start_id = {};
  };
  SpanWriter(const Task& task, const Prompt& prompt)
      : task_(task),
        seed_(prompt.seed),
        parts_(encode_blanks(task.tokenizer, task.rules, prompt)),
        spans_(1) {
    inputs_ = joined_by_sentinels(parts_, rules());
    inputs_.push_back(rules().eos);
    if (task.start_id) ids_.push_back(*task.start_id);
    first_written_ = ids_.size();
    ids_.push_back(rules().sentinel(0));
    finish_if_complete();
  }

  std::span<const std::int32_t> encoder_ids() const override { return inputs_; }
  std::span<const std::int32_t> ids() const override { return ids_; }
  std::span<const std::int32_t> repeated() const override {
    return std::span(ids_).subspan(first_written_);
  }
  std::uint64_t seed() const override { return seed_; }
  bool complete() const override { return complete_; }

  // Only pieces and the end of the span may follow.
  void restrict(std::vector<float>& logits) const override {
    constexpr float kNever = -std::numeric_limits<float>::infinity();
    const auto at = [&](std::int32_t id) -> float& { return logits[static_cast<std::size_t>(id)]; };
    const std::int32_t end_id = spans_.size() == num_spans()
                                    ? rules().eos
                                    : rules().sentinel(static_cast<std::int64_t>(spans_.size()));
    const float end = at(end_id);
    // sentinels and padded rows of the embedding
    std::fill(logits.begin() + rules().num_pieces, logits.end(), kNever);
    if (task_.tokenizer.pad()) at(*task_.tokenizer.pad()) = kNever;
    at(rules().eos) = kNever;
    at(end_id) = end;
  }

  void add(std::int32_t token, double log_probability) override {
    result_.ended = token == rules().eos;
    if (!result_.ended) {
      ids_.push_back(token);
      result_.tokens.push_back(token);
      if (task_.log_probabilities) result_.log_probabilities.push_back(log_probability);
      if (token < rules().num_pieces) {
        spans_.back().push_back(token);
      } else {
        spans_.emplace_back();
      }
    }
    finish_if_complete();
  }
  void interrupt() override {
    result_.interrupted = true;
    finish_if_complete();
  }
  const Filled& result() const { return result_; }

 private:
  const data::SpanRules& rules() const { return task_.rules; }
  std::size_t num_spans() const { return parts_.size() - 1; }

  void finish_if_complete() {
    const auto written = static_cast<std::int64_t>(ids_.size() - first_written_);
    if (complete_ || !(written >= task_.num_tokens || result_.ended || result_.interrupted)) return;
    complete_ = true;
    spans_.resize(num_spans());
    // Decoded as a whole, because the text of a token can depend on the tokens before it.
    Ids all = parts_.front();
    for (std::size_t i = 0; i < spans_.size(); ++i) {
      result_.spans.push_back(as_text(task_.tokenizer, spans_[i]));
      all.insert(all.end(), spans_[i].begin(), spans_[i].end());
      all.insert(all.end(), parts_[i + 1].begin(), parts_[i + 1].end());
    }
    result_.text = as_text(task_.tokenizer, all);
  }

  Task task_;
  std::uint64_t seed_;
  std::vector<Ids> parts_, spans_;
  Ids inputs_, ids_;  // of the encoder and of the decoder
  std::size_t first_written_ = 0;
  Filled result_;
  bool complete_ = false;
};

}  // namespace

void check_blanks(const text::Tokenizer& tokenizer, const data::SpanRules& rules,
                  const Prompt& prompt) {
  encode_blanks(tokenizer, rules, prompt);
}

void fill_all(const model::LanguageModel& model, const text::Tokenizer& tokenizer,
              const data::SpanRules& rules, const Prompts& prompts, const SamplingConfig& config,
              const std::function<void(std::size_t, const Filled&)>& on_done) {
  check(config);
  require(config.stop.empty(), ExitCode::kUsage, "stop",
          "cannot be combined with blanks, whose spans end with the next sentinel");
  const SpanWriter::Task task{tokenizer, rules, config.num_tokens, config.log_probabilities,
                              model.start_id()};
  std::vector<std::unique_ptr<SpanWriter>> writers;
  for (const Prompt& prompt : prompts.all)
    writers.push_back(std::make_unique<SpanWriter>(task, prompt));
  write_in_order(model, writers, config,
                 {prompts.batch, std::min(config.num_tokens, kMostTokens) + 2}, on_done);
}

Filled fill_blanks(const model::LanguageModel& model, const text::Tokenizer& tokenizer,
                   const data::SpanRules& rules, std::string_view prompt,
                   const SamplingConfig& config) {
  const Prompt one{std::string(prompt), config.seed};
  Filled filled;
  fill_all(model, tokenizer, rules, {std::span(&one, 1)}, config,
           [&](std::size_t, const Filled& result) { filled = result; });
  return filled;
}

}  // namespace sluice::eval
