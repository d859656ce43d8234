#include "eval/sampling.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>

#include "base/error.h"
#include "base/text_format.h"
#include "text/utf8.h"

namespace sluice::eval {
namespace {

// Tokens in descending order of their logits, taken one by one: most texts need a few of many.
class Descending {
 public:
  explicit Descending(const std::vector<float>& logits) : less_{logits}, heap_(logits.size()) {
    std::iota(heap_.begin(), heap_.end(), 0);
    std::make_heap(heap_.begin(), heap_.end(), less_);
  }
  std::optional<std::int64_t> next() {
    if (heap_.empty()) return std::nullopt;
    std::pop_heap(heap_.begin(), heap_.end(), less_);
    const std::int64_t token = heap_.back();
    heap_.pop_back();
    return token;
  }

 private:
  struct Less {
    const std::vector<float>& logits;
    bool operator()(std::int32_t a, std::int32_t b) const {
      const float x = logits[static_cast<std::size_t>(a)], y = logits[static_cast<std::size_t>(b)];
      return x != y ? x < y : a > b;
    }
  };
  Less less_;
  std::vector<std::int32_t> heap_;
};

struct Candidate {
  std::int64_t token;
  double weight;
};

double sum_of(const std::vector<Candidate>& candidates) {
  double sum = 0;
  for (const Candidate& candidate : candidates) sum += candidate.weight;
  return sum;
}

// The tokens that pass top_k, top_p and min_p.
std::vector<Candidate> filtered(Descending& order, const std::vector<double>& weights,
                                const SamplingConfig& config) {
  const auto next = [&]() -> std::optional<Candidate> {
    const auto token = order.next();
    if (!token) return std::nullopt;
    return Candidate{*token, weights[static_cast<std::size_t>(*token)]};
  };
  std::vector<Candidate> most_likely;  // the top_k; empty without top_k
  while (static_cast<std::int64_t>(most_likely.size()) < config.top_k) {
    const auto candidate = next();
    if (!candidate) break;
    most_likely.push_back(*candidate);
  }
  const double total =
      config.top_k > 0 ? sum_of(most_likely) : std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<Candidate> kept;
  double mass = 0;
  while (config.top_k == 0 || kept.size() < most_likely.size()) {
    const auto candidate = config.top_k > 0 ? std::optional(most_likely[kept.size()]) : next();
    if (!candidate) break;
    const bool reached = mass >= config.top_p * total || candidate->weight < config.min_p;
    if (!kept.empty() && reached) break;
    kept.push_back(*candidate);
    mass += candidate->weight;
  }
  return kept;
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
  if (!(config.min_p >= 0 && config.min_p <= 1))
    reject("min-p", config.min_p, "a number from 0 to 1");
  if (!(config.repetition_penalty > 0) || std::isinf(config.repetition_penalty))
    reject("repetition-penalty", config.repetition_penalty, "a positive number");
  for (const std::string& stop : config.stop) {
    require(!stop.empty(), ExitCode::kUsage, "stop", "empty text", "a text that ends the output");
    require(text::is_valid_utf8(stop), ExitCode::kUsage, "stop", printable(stop), "valid UTF-8");
  }
  invariant(config.context_length > 0, "SamplingConfig: context_length is positive");
}

std::int64_t choose_token(std::vector<float> logits, const SamplingConfig& config, double uniform) {
  for (float& logit : logits)
    if (std::isnan(logit)) logit = -std::numeric_limits<float>::infinity();
  const auto best =
      static_cast<std::int64_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  const double highest = logits[static_cast<std::size_t>(best)];
  if (config.temperature == 0 || !std::isfinite(highest)) return best;

  std::vector<double> weights(logits.size());
  std::transform(logits.begin(), logits.end(), weights.begin(), [&](float logit) {
    return std::exp((static_cast<double>(logit) - highest) / config.temperature);
  });
  Descending order(logits);
  std::int64_t last = best;  // the last one with a probability above 0, if rounding leaves a rest
  if (config.top_k == 0 && config.top_p == 1 && config.min_p == 0) {
    double left = uniform * std::accumulate(weights.begin(), weights.end(), 0.0);
    while (const auto token = order.next()) {
      const double weight = weights[static_cast<std::size_t>(*token)];
      if (weight > 0) last = *token;
      if ((left -= weight) < 0) return *token;
    }
    return last;
  }
  const std::vector<Candidate> kept = filtered(order, weights, config);
  double left = uniform * sum_of(kept);
  for (const Candidate& candidate : kept) {
    if (candidate.weight > 0) last = candidate.token;
    if ((left -= candidate.weight) < 0) return candidate.token;
  }
  return last;
}

void penalize(std::vector<float>& logits, std::span<const std::int32_t> ids, double penalty) {
  if (penalty == 1) return;
  std::vector<bool> seen(logits.size());
  for (const std::int32_t id : ids) {
    const auto i = static_cast<std::size_t>(id);
    if (i >= logits.size() || seen[i]) continue;
    seen[i] = true;
    const auto factor = static_cast<float>(penalty);
    logits[i] = logits[i] > 0 ? logits[i] / factor : logits[i] * factor;
  }
}

double log_probability(std::span<const float> logits, std::int64_t token) {
  const double highest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - highest);
  return static_cast<double>(logits[static_cast<std::size_t>(token)]) - highest - std::log(sum);
}

std::string_view TextStream::add(const std::string& decoded, bool finished) {
  const std::string valid = text::with_valid_utf8(decoded);
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

std::size_t StopFilter::final_length(std::string_view text, bool finished) {
  std::size_t first = std::string_view::npos;
  for (const std::string& stop : stop_) first = std::min(first, text.find(stop, searched_));
  if (first != std::string_view::npos) {
    found_ = true;
    return first;
  }
  if (finished) return text.size();
  // the longest end of the text that begins a stop string
  std::size_t held = 0;
  for (const std::string& stop : stop_) {
    for (std::size_t n = std::min(stop.size() - 1, text.size()); n > held; --n)
      if (text.ends_with(std::string_view(stop).substr(0, n))) held = n;
  }
  return searched_ = text.size() - held;
}

}  // namespace sluice::eval
