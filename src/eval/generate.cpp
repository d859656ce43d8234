#include "eval/generate.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "base/error.h"
#include "base/random.h"
#include "base/signals.h"
#include "base/text_format.h"
#include "eval/sampling.h"
#include "ops/cuda.h"
#include "text/utf8.h"

namespace sluice::eval {
namespace {

// The logits of the token that follows `ids`.
std::vector<float> next_logits(const model::LanguageModel& model,
                               const std::vector<std::int32_t>& ids, std::int64_t context_length) {
  const auto length = std::min(static_cast<std::int64_t>(ids.size()), context_length);
  const at::Tensor inputs = at::empty({1, length}, at::kLong);
  std::copy(ids.end() - length, ids.end(), static_cast<std::int64_t*>(inputs.mutable_data_ptr()));
  const at::Device device = model.parameters().master().device();
  const at::Tensor logits = model.next_logits(inputs.to(device), ops::inference_context(device))
                                .to(at::kCPU)
                                .contiguous();
  const auto* values = static_cast<const float*>(logits.const_data_ptr());
  return {values, values + logits.numel()};
}

std::vector<std::int32_t> prompt_ids(const text::Tokenizer& tokenizer, std::string_view prompt) {
  require(text::is_valid_utf8(prompt), ExitCode::kUsage, "prompt", printable(prompt),
          "valid UTF-8");
  std::vector<std::int32_t> ids;
  // In training, a document follows an end token.
  if (tokenizer.eos()) ids.push_back(*tokenizer.eos());
  tokenizer.encode(prompt, ids);
  require(!ids.empty(), ExitCode::kUsage, "prompt",
          "no tokens; expected text, because the tokenizer has no end token to start from");
  return ids;
}

}  // namespace

void check(const SamplingConfig& config) {
  const auto reject = [](std::string_view subject, const auto& received,
                         std::string_view expected) {
    fail(ExitCode::kUsage, subject, cat(received), expected);
  };
  if (config.num_tokens < 0) reject("tokens", config.num_tokens, "0 or more");
  if (!(config.temperature >= 0) || std::isinf(config.temperature))
    reject("temperature", config.temperature, "0 or a positive number");
  if (config.top_k < 0) reject("top-k", config.top_k, "0 (all) or a positive number");
  if (!(config.top_p > 0 && config.top_p <= 1))
    reject("top-p", config.top_p, "a number above 0, at most 1");
  invariant(config.context_length > 0, "SamplingConfig: context_length is positive");
}

std::int64_t choose_token(std::vector<float> logits, const SamplingConfig& config, double uniform) {
  for (float& logit : logits)
    if (std::isnan(logit)) logit = -std::numeric_limits<float>::infinity();
  const auto best =
      static_cast<std::int64_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  if (config.temperature == 0 || !std::isfinite(logits[static_cast<std::size_t>(best)]))
    return best;

  std::vector<std::int64_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    return logits[static_cast<std::size_t>(a)] > logits[static_cast<std::size_t>(b)];
  });
  if (config.top_k > 0 && config.top_k < static_cast<std::int64_t>(order.size()))
    order.resize(static_cast<std::size_t>(config.top_k));

  std::vector<double> weights(order.size());
  const double highest = logits[static_cast<std::size_t>(order.front())];
  std::transform(order.begin(), order.end(), weights.begin(), [&](std::int64_t id) {
    return std::exp((static_cast<double>(logits[static_cast<std::size_t>(id)]) - highest) /
                    config.temperature);
  });
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::size_t kept = 0;
  double mass = 0;
  while (kept < weights.size() && (kept == 0 || mass < config.top_p * total))
    mass += weights[kept++];

  double left = uniform * mass;
  for (std::size_t i = 0; i < kept; ++i) {
    left -= weights[i];
    if (left < 0) return order[i];
  }
  return order[kept - 1];
}

std::string_view TextStream::add(const std::string& decoded, bool finished) {
  std::string valid;
  std::size_t at = 0;
  while (at < decoded.size()) {
    const std::size_t good = text::valid_utf8_prefix(std::string_view(decoded).substr(at));
    valid.append(decoded, at, good);
    at += good;
    if (at == decoded.size()) break;
    valid += text::kReplacementCharacter;
    at += text::invalid_utf8_length(std::string_view(decoded).substr(at));
  }
  std::size_t sure = valid.size();
  constexpr std::size_t kSize = text::kReplacementCharacter.size();
  while (!finished && sure >= kSize &&
         std::string_view(valid).substr(sure - kSize, kSize) == text::kReplacementCharacter)
    sure -= kSize;
  const std::size_t before = text_.size();
  if (sure <= before) return {};
  text_.append(valid, before, sure - before);
  return std::string_view(text_).substr(before);
}

Generated generate(const model::LanguageModel& model, const text::Tokenizer& tokenizer,
                   std::string_view prompt, const SamplingConfig& config,
                   const std::function<void(std::string_view)>& on_text) {
  check(config);
  const at::NoGradGuard no_grad;
  std::vector<std::int32_t> ids = prompt_ids(tokenizer, prompt);
  const std::size_t num_prompt_ids = ids.size();
  const std::uint64_t key = random_key(config.seed, "sample");
  // The prompt is decoded too, because the text of a token can depend on the tokens before it.
  const std::size_t num_prompt_bytes = tokenizer.decode(ids).size();
  TextStream stream;
  const auto emit = [&](bool finished) {
    const std::string decoded = tokenizer.decode(ids);
    const std::string_view piece =
        stream.add(decoded.substr(std::min(num_prompt_bytes, decoded.size())), finished);
    if (on_text && !piece.empty()) on_text(piece);
  };
  bool interrupted = false, ended = false;
  for (std::int64_t n = 0; n < config.num_tokens; ++n) {
    if ((interrupted = stop_requested())) break;
    const auto token = static_cast<std::int32_t>(
        choose_token(next_logits(model, ids, config.context_length), config,
                     random_uniform(key, static_cast<std::uint64_t>(n))));
    if ((ended = tokenizer.eos() && token == *tokenizer.eos())) break;
    ids.push_back(token);
    emit(false);
  }
  if (ids.size() > num_prompt_ids) emit(true);
  return {stream.text(), interrupted, ended};
}

}  // namespace sluice::eval
