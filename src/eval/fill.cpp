#include "eval/fill.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "base/random.h"
#include "base/signals.h"
#include "base/text_format.h"
#include "eval/sampling.h"
#include "ops/cuda.h"
#include "text/utf8.h"

namespace sluice::eval {
namespace {

using Ids = std::vector<std::int32_t>;

constexpr std::string_view kBlank = "___";

// The text around the blanks: one more part than there are blanks.
std::vector<std::string_view> parts_of(std::string_view prompt) {
  std::vector<std::string_view> parts;
  for (std::size_t at = prompt.find(kBlank); at != std::string_view::npos;
       at = prompt.find(kBlank)) {
    std::string_view before = prompt.substr(0, at);
    if (before.ends_with(' ')) before.remove_suffix(1);
    parts.push_back(before);
    prompt.remove_prefix(std::min(prompt.find_first_not_of('_', at), prompt.size()));
  }
  parts.push_back(prompt);
  return parts;
}

std::vector<Ids> encode_parts(const text::Tokenizer& tokenizer, const data::SpanRules& rules,
                              std::string_view prompt) {
  require(text::is_valid_utf8(prompt), ExitCode::kUsage, "prompt", printable(prompt),
          "valid UTF-8");
  const std::vector<std::string_view> parts = parts_of(prompt);
  const auto num_blanks = static_cast<std::int64_t>(parts.size()) - 1;
  if (num_blanks == 0)
    fail(ExitCode::kUsage, "prompt", printable(prompt),
         "at least one blank, written as three underscores, e.g. \"The ___ sat on the mat.\"");
  if (num_blanks > rules.num_sentinels)
    fail(ExitCode::kUsage, "prompt", cat(num_blanks, " blanks"),
         cat("at most ", rules.num_sentinels, ", the number of sentinels"));
  std::vector<Ids> encoded;
  for (const std::string_view part : parts) tokenizer.encode(part, encoded.emplace_back());
  return encoded;
}

at::Tensor row_of(const Ids& ids, c10::Device device) {
  const at::Tensor row = at::empty({1, static_cast<std::int64_t>(ids.size())}, at::kLong);
  std::copy(ids.begin(), ids.end(), static_cast<std::int64_t*>(row.mutable_data_ptr()));
  return row.to(device);
}

// Masks all logits but those allowed in span `span` of `num_spans`: pieces and the end of the span.
void mask_logits(std::vector<float>& logits, const text::Tokenizer& tokenizer,
                 const data::SpanRules& rules, std::int64_t span, std::int64_t num_spans) {
  constexpr float kNever = -std::numeric_limits<float>::infinity();
  const auto at = [&](std::int32_t id) -> float& { return logits[static_cast<std::size_t>(id)]; };
  const bool last = span + 1 == num_spans;
  const float end = last ? at(rules.eos) : at(rules.sentinel(span + 1));
  // sentinels and padded rows of the embedding
  std::fill(logits.begin() + rules.num_pieces, logits.end(), kNever);
  if (tokenizer.pad()) at(*tokenizer.pad()) = kNever;
  at(rules.eos) = kNever;
  at(last ? rules.eos : rules.sentinel(span + 1)) = end;
}

struct Spans {
  std::vector<Ids> ids;
  bool interrupted = false, ended = false;
};

Spans generate_spans(const model::LanguageModel& model, const text::Tokenizer& tokenizer,
                     const data::SpanRules& rules, const Ids& inputs,
                     const SamplingConfig& config) {
  const c10::Device device = model.parameters().master().device();
  const ops::Context context = ops::inference_context(device);
  const std::uint64_t key = random_key(config.seed, "sample");
  const auto num_spans = static_cast<std::int64_t>(std::count_if(
      inputs.begin(), inputs.end(), [&](std::int32_t id) { return id >= rules.num_pieces; }));
  const at::Tensor encoded = model.encode(row_of(inputs, device), context);
  std::vector<Ids> spans(1);
  bool interrupted = false, ended = false;
  Ids written{rules.sentinel(0)};
  for (std::int64_t n = 1; n < config.num_tokens; ++n) {
    if ((interrupted = stop_requested())) break;
    const at::Tensor logits =
        model.logits_after(encoded, row_of(written, device), context).to(at::kCPU).contiguous();
    const auto* values = static_cast<const float*>(logits.const_data_ptr());
    std::vector<float> allowed(values, values + logits.numel());
    mask_logits(allowed, tokenizer, rules, static_cast<std::int64_t>(spans.size()) - 1, num_spans);
    const auto token = static_cast<std::int32_t>(choose_token(
        std::move(allowed), config, random_uniform(key, static_cast<std::uint64_t>(n))));
    if ((ended = token == rules.eos)) break;
    written.push_back(token);
    if (token < rules.num_pieces) {
      spans.back().push_back(token);
    } else {
      spans.emplace_back();
    }
  }
  spans.resize(static_cast<std::size_t>(num_spans));
  return {std::move(spans), interrupted, ended};
}

std::string as_text(const text::Tokenizer& tokenizer, const Ids& ids) {
  TextStream stream;
  return std::string(stream.add(tokenizer.decode(ids), /*finished=*/true));
}

}  // namespace

Filled fill_blanks(const model::LanguageModel& model, const text::Tokenizer& tokenizer,
                   const data::SpanRules& rules, std::string_view prompt,
                   const SamplingConfig& config) {
  check(config);
  const at::NoGradGuard no_grad;
  const std::vector<Ids> parts = encode_parts(tokenizer, rules, prompt);
  Ids inputs;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    inputs.insert(inputs.end(), parts[i].begin(), parts[i].end());
    inputs.push_back(i + 1 < parts.size() ? rules.sentinel(static_cast<std::int64_t>(i))
                                          : rules.eos);
  }
  const auto [spans, interrupted, ended] = generate_spans(model, tokenizer, rules, inputs, config);
  // Decoded as a whole, because the text of a token can depend on the tokens before it.
  Ids all = parts.front();
  Filled filled{.interrupted = interrupted, .ended = ended};
  for (std::size_t i = 0; i < spans.size(); ++i) {
    filled.spans.push_back(as_text(tokenizer, spans[i]));
    all.insert(all.end(), spans[i].begin(), spans[i].end());
    all.insert(all.end(), parts[i + 1].begin(), parts[i + 1].end());
  }
  filled.text = as_text(tokenizer, all);
  return filled;
}

}  // namespace sluice::eval
