#include "train/samples.h"

#include "base/error.h"
#include "base/signals.h"
#include "base/text_format.h"
#include "eval/fill.h"
#include "eval/generate.h"
#include "text/utf8.h"

namespace sluice::train {
namespace {

std::vector<eval::Prompt> prompts_of(const ResolvedRun& run) {
  std::vector<eval::Prompt> prompts;
  for (const std::string& text : run.config.evaluate.samples.prompts)
    prompts.push_back({text, run.config.run.seed, {"evaluate.samples.prompts"}});
  return prompts;
}

// Records have no text with NUL.
std::string without_nul(std::string_view text) {
  std::string out;
  for (const char c : text) out += c == '\0' ? "\uFFFD" : std::string(1, c);
  return out;
}

}  // namespace

void check_samples(const ResolvedRun& run, const data::PreparedData& data) {
  const std::optional<data::SpanRules> blanks = run.objective->blanks(*data.tokenizer);
  for (const eval::Prompt& prompt : prompts_of(run)) {
    const auto& [name, code] = prompt.origin;
    require(text::is_valid_utf8(prompt.text), code, name, printable(prompt.text), "valid UTF-8");
    if (blanks) eval::check_blanks(*data.tokenizer, *blanks, prompt);
  }
}

std::vector<SampleText> write_samples(const model::LanguageModel& model, const ResolvedRun& run,
                                      const data::PreparedData& data, bool may_stop) {
  const std::vector<eval::Prompt> prompts = prompts_of(run);
  const SamplesConfig& config = run.config.evaluate.samples;
  const eval::Prompts all{prompts, static_cast<std::int64_t>(prompts.size())};
  const eval::SamplingConfig sampling{.num_tokens = config.tokens,
                                      .temperature = config.temperature,
                                      .context_length = run.objective->segment_length(),
                                      .may_stop = may_stop};
  std::vector<SampleText> samples;
  const auto add = [&](std::size_t i, const auto& result) {
    samples.push_back({prompts[i].text, without_nul(result.text)});
  };
  if (prompts.empty()) return samples;
  if (const auto blanks = run.objective->blanks(*data.tokenizer)) {
    eval::fill_all(model, *data.tokenizer, *blanks, all, sampling, add);
  } else {
    eval::generate_all(model, *data.tokenizer, all, sampling, add);
  }
  if (may_stop) throw_if_stopped("writing samples");
  return samples;
}

}  // namespace sluice::train
