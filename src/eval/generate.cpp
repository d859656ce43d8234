#include "eval/generate.h"

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "base/text_format.h"
#include "eval/sampling.h"
#include "eval/writer.h"
#include "text/utf8.h"

namespace sluice::eval {
namespace {

std::vector<std::int32_t> prompt_ids(const text::Tokenizer& tokenizer, const Prompt& prompt) {
  const auto& [name, code] = prompt.origin;
  require(text::is_valid_utf8(prompt.text), code, name, printable(prompt.text), "valid UTF-8");
  std::vector<std::int32_t> ids;
  // In training, a document follows an end token; an imported model may have a start token.
  if (tokenizer.start()) ids.push_back(*tokenizer.start());
  tokenizer.encode(prompt.text, ids);
  require(!ids.empty(), code, name,
          "no tokens; expected text, because the tokenizer has no end token to start from");
  return ids;
}

// Continues one prompt.
class Continuation final : public Writer {
 public:
  Continuation(const text::Tokenizer& tokenizer, const Prompt& prompt, const SamplingConfig& config,
               std::function<void(std::string_view)> on_text = {})
      : tokenizer_(tokenizer),
        config_(config),
        seed_(prompt.seed),
        on_text_(std::move(on_text)),
        ids_(prompt_ids(tokenizer, prompt)),
        // Decoded too, because the text of a token can depend on the tokens before it.
        num_prompt_bytes_(tokenizer.decode(ids_).size()),
        filter_(config.stop) {
    finish_if_complete();
  }

  std::span<const std::int32_t> ids() const override { return ids_; }
  std::uint64_t seed() const override { return seed_; }
  bool complete() const override { return complete_; }
  void interrupt() override {
    result_.interrupted = true;
    finish_if_complete();
  }
  void add(std::int32_t token, double log_probability) override {
    result_.ended = tokenizer_.eos() && token == *tokenizer_.eos();
    if (!result_.ended) {
      ids_.push_back(token);
      result_.tokens.push_back(token);
      if (config_.log_probabilities) result_.log_probabilities.push_back(log_probability);
      if (on_text_ || !config_.stop.empty()) update(/*finished=*/false);
    }
    finish_if_complete();
  }
  const Generated& result() const { return result_; }

 private:
  void finish_if_complete() {
    const bool enough = static_cast<std::int64_t>(result_.tokens.size()) >= config_.num_tokens;
    if (result_.stopped) complete_ = true;
    if (complete_ || !(enough || result_.ended || result_.interrupted)) return;
    complete_ = true;
    update(/*finished=*/true);
  }

  // Decodes, looks for stop strings and passes on the text that is final.
  void update(bool finished) {
    const std::string decoded = tokenizer_.decode(ids_);
    stream_.add(decoded.substr(std::min(num_prompt_bytes_, decoded.size())), finished);
    const std::size_t sure = filter_.final_length(stream_.text(), finished);
    result_.stopped = filter_.found();
    const std::size_t before = result_.text.size();
    result_.text.append(stream_.text(), before, sure - before);
    if (on_text_ && sure > before) on_text_(std::string_view(result_.text).substr(before));
  }

  const text::Tokenizer& tokenizer_;
  const SamplingConfig& config_;
  std::uint64_t seed_;
  std::function<void(std::string_view)> on_text_;
  std::vector<std::int32_t> ids_;
  std::size_t num_prompt_bytes_;
  TextStream stream_;
  StopFilter filter_;
  Generated result_;
  bool complete_ = false;
};

}  // namespace

Generated generate(const model::LanguageModel& model, const text::Tokenizer& tokenizer,
                   std::string_view prompt, const SamplingConfig& config,
                   const std::function<void(std::string_view)>& on_text) {
  check(config);
  Continuation continuation(tokenizer, {std::string(prompt), config.seed}, config, on_text);
  Writer* const writer = &continuation;
  write_all(model, std::span(&writer, 1), config, {1, config.context_length}, [](std::size_t) {});
  return continuation.result();
}

void generate_all(const model::LanguageModel& model, const text::Tokenizer& tokenizer,
                  const Prompts& prompts, const SamplingConfig& config,
                  const std::function<void(std::size_t, const Generated&)>& on_done) {
  check(config);
  std::vector<std::unique_ptr<Continuation>> continuations;
  for (const Prompt& prompt : prompts.all)
    continuations.push_back(std::make_unique<Continuation>(tokenizer, prompt, config));
  write_in_order(model, continuations, config, {prompts.batch, config.context_length}, on_done);
}

}  // namespace sluice::eval
