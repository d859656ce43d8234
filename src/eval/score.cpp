#include "eval/score.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <array>
#include <memory>

#include "base/error.h"
#include "base/signals.h"
#include "base/text_format.h"
#include "eval/blanks.h"
#include "eval/sampling.h"
#include "text/utf8.h"

namespace sluice::eval {
namespace {

using Ids = std::vector<std::int32_t>;

// Logits in memory at once: 64 Mi numbers.
constexpr std::int64_t kMostLogits = 1 << 26;

// A window of one request: the model reads `inputs`, and the last `targets.size()` positions are
// scored.
struct Window {
  std::size_t request = 0;
  std::span<const std::int32_t> encoder_inputs;
  std::span<const std::int32_t> inputs, targets;
  std::size_t num_read = 0;
  Score score = {};
  std::size_t num_unscored() const { return inputs.size() - targets.size(); }
};

// The ids of a request: all that the (decoder) model reads or predicts, and the number of scored
// ones at the end.
struct Encoded {
  Ids encoder_inputs;
  Ids ids;
  std::size_t num_bytes = 0;
  std::size_t num_scored = 0;
};

// The text without the whitespace at its end, as by Python's str.rstrip.
std::string_view without_final_blanks(std::string_view text) {
  static constexpr std::string_view kAscii = " \t\n\v\f\r\x1c\x1d\x1e\x1f";
  // U+0085, U+00A0, U+1680, U+2000 to U+200A, U+2028, U+2029, U+202F, U+205F, U+3000
  static constexpr std::array<std::string_view, 19> kOthers = {
      "\u0085", "\u00A0", "\u1680", "\u2000", "\u2001", "\u2002", "\u2003",
      "\u2004", "\u2005", "\u2006", "\u2007", "\u2008", "\u2009", "\u200A",
      "\u2028", "\u2029", "\u202F", "\u205F", "\u3000"};
  while (true) {
    const std::size_t last = text.find_last_not_of(kAscii);
    text = text.substr(0, last == std::string_view::npos ? 0 : last + 1);
    const auto* const other =
        std::find_if(kOthers.begin(), kOthers.end(),
                     [&](std::string_view blank) { return text.ends_with(blank); });
    if (other == kOthers.end()) return text;
    text.remove_suffix(other->size());
  }
}

Encoded encode_pair(const model::LanguageModel& model, const text::Tokenizer& tokenizer,
                    const data::SpanRules& rules, const ScoreRequest& request) {
  const auto& [name, code] = request.origin;
  require(request.context.has_value(), code, name, "a text without context",
          "a context and its continuation, since the model is an encoder-decoder");
  const auto ids_of = [&](const std::string& text) {
    return joined_by_sentinels(encode_around_blanks(tokenizer, rules, {text, 0, request.origin}),
                               rules);
  };
  Encoded encoded;
  encoded.encoder_inputs = ids_of(*request.context);
  encoded.encoder_inputs.push_back(rules.eos);
  encoded.ids.push_back(*model.start_id());
  const Ids scored = ids_of(request.text);
  require(!scored.empty(), code, name, "no tokens to score", "a continuation");
  encoded.ids.insert(encoded.ids.end(), scored.begin(), scored.end());
  encoded.num_scored = scored.size();
  encoded.num_bytes = request.text.size();
  return encoded;
}

Encoded encode(const text::Tokenizer& tokenizer, const ScoreRequest& request) {
  const auto& [name, code] = request.origin;
  for (const std::string& text : {request.context.value_or(""), request.text})
    require(text::is_valid_utf8(text), code, name, printable(text), "valid UTF-8");
  Encoded encoded{.num_bytes = request.text.size()};
  if (tokenizer.start()) encoded.ids.push_back(*tokenizer.start());
  const std::size_t start = encoded.ids.size();
  std::size_t first = start;
  if (!request.context) {
    tokenizer.encode(request.text, encoded.ids);
  } else {
    const std::string_view kept = without_final_blanks(*request.context);
    encoded.num_bytes += request.context->size() - kept.size();
    Ids context;
    if (!kept.empty()) tokenizer.encode(kept, context);
    tokenizer.encode(*request.context + request.text, encoded.ids);
    first += context.size();
  }
  // without a start token, the first token has no context
  first = std::max<std::size_t>(first, 1);
  require(encoded.ids.size() > first, code, name, "no tokens to score",
          request.context ? "a continuation that adds tokens to its context"
          : start > 0     ? "a text"
                      : "a text of at least two tokens, because the tokenizer has no end token");
  encoded.num_scored = encoded.ids.size() - first;
  return encoded;
}

// The windows of a request, in order.
std::vector<Window> windows_of(const Encoded& encoded, std::size_t index,
                               const ScoreRequest& request, std::size_t length) {
  const std::span<const std::int32_t> ids = encoded.ids;
  const std::size_t num_inputs = ids.size() - 1;
  std::vector<Window> windows;
  if (!request.context) {
    for (std::size_t begin = 0; begin < num_inputs; begin += length) {
      const std::size_t end = std::min(begin + length, num_inputs);
      const std::size_t num_read = std::min(length, end);  // the last window is full, too
      windows.push_back(
          {index, {}, ids.subspan(end - num_read, num_read), ids.subspan(begin + 1, end - begin)});
    }
    return windows;
  }
  require(encoded.num_scored <= length, request.origin.code, request.origin.name,
          cat("a continuation of ", encoded.num_scored, " tokens"),
          cat("at most ", length, ", the tokens that the model reads"));
  const std::size_t count = std::min(length, num_inputs);
  windows.push_back({index, encoded.encoder_inputs, ids.subspan(num_inputs - count, count),
                     ids.last(encoded.num_scored)});
  return windows;
}

void add_score(Score& score, std::span<const float> logits, std::int32_t target) {
  const double value = log_probability(logits, target);
  score.tokens.push_back(target);
  score.log_probabilities.push_back(value);
  score.sum += value;
  const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
  score.is_greedy = score.is_greedy && best == target;
}

// The ids that the window reads next. Those before the scored positions need no logits.
model::Feed next_feed(const Window& window, std::int64_t sequence, std::size_t most_ids) {
  const bool scored = window.num_read >= window.num_unscored();
  const std::size_t end = scored ? window.inputs.size() : window.num_unscored(),
                    count = std::min(most_ids, end - window.num_read);
  return {sequence, window.inputs.subspan(window.num_read, count), scored};
}

// Scores the windows together.
void score_windows(model::Decoding& decoding, std::span<Window> windows) {
  for (std::size_t w = 0; w < windows.size(); ++w)
    decoding.start(static_cast<std::int64_t>(w), windows[w].encoder_inputs);
  std::size_t most_ids = 1;  // per feed; more as soon as the size of the vocabulary is known
  while (true) {
    throw_if_stopped("scoring");
    std::vector<model::Feed> feeds;
    std::vector<Window*> read;
    for (std::size_t w = 0; w < windows.size(); ++w) {
      if (windows[w].num_read == windows[w].inputs.size()) continue;
      feeds.push_back(next_feed(windows[w], static_cast<std::int64_t>(w), most_ids));
      read.push_back(&windows[w]);
    }
    if (feeds.empty()) return;
    const at::Tensor logits = decoding.append(feeds);
    const auto vocab_size = static_cast<std::size_t>(logits.size(1));
    const auto* row = static_cast<const float*>(logits.const_data_ptr());
    for (std::size_t i = 0; i < feeds.size(); ++i) {
      Window& window = *read[i];
      const std::size_t count = feeds[i].ids.size();
      for (std::size_t n = 0; feeds[i].every_position && n < count; ++n)
        add_score(window.score, {row + n * vocab_size, vocab_size},
                  window.targets[window.num_read - window.num_unscored() + n]);
      window.num_read += count;
      row += (feeds[i].every_position ? count : 1) * vocab_size;
    }
    most_ids = std::max<std::size_t>(1, kMostLogits / vocab_size / windows.size());
  }
}

void merge(Score& score, const Score& next) {
  score.tokens.insert(score.tokens.end(), next.tokens.begin(), next.tokens.end());
  score.log_probabilities.insert(score.log_probabilities.end(), next.log_probabilities.begin(),
                                 next.log_probabilities.end());
  score.sum += next.sum;
  score.is_greedy = score.is_greedy && next.is_greedy;
}

}  // namespace

void score_all(const model::LanguageModel& model, const text::Tokenizer& tokenizer,
               std::span<const ScoreRequest> requests, const ScoreSettings& settings,
               const std::function<void(std::size_t, const Score&)>& on_done) {
  invariant(model.start_id().has_value() == settings.blanks.has_value(),
            "an encoder-decoder needs the rules of its blanks");
  const at::NoGradGuard no_grad;
  std::vector<Encoded> encoded;
  for (const ScoreRequest& request : requests)
    encoded.push_back(settings.blanks ? encode_pair(model, tokenizer, *settings.blanks, request)
                                      : encode(tokenizer, request));
  std::vector<Window> windows;
  std::size_t longest = 0;
  for (std::size_t i = 0; i < encoded.size(); ++i) {
    // An encoder-decoder reads continuations of any length.
    const std::size_t length =
        settings.blanks ? encoded[i].ids.size() : static_cast<std::size_t>(settings.context_length);
    for (Window& window : windows_of(encoded[i], i, requests[i], length)) {
      longest = std::max(longest, window.inputs.size());
      windows.push_back(std::move(window));
    }
  }
  const auto batch = std::min(static_cast<std::size_t>(settings.batch), windows.size());
  if (batch == 0) return;
  const auto decoding =
      model.make_decoding(static_cast<std::int64_t>(batch), static_cast<std::int64_t>(longest));
  Score score;
  for (std::size_t first = 0; first < windows.size(); first += batch) {
    const auto group = std::span(windows).subspan(first, std::min(batch, windows.size() - first));
    score_windows(*decoding, group);
    for (std::size_t i = 0; i < group.size(); ++i) {
      Window& window = group[i];
      merge(score, window.score);
      window.score = {};
      const std::size_t next = first + i + 1;
      if (next < windows.size() && windows[next].request == window.request) continue;
      score.num_bytes = encoded[window.request].num_bytes;
      on_done(window.request, score);
      score = {};
    }
  }
}

}  // namespace sluice::eval
