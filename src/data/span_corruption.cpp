#include "data/span_corruption.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/random.h"
#include "base/text_format.h"
#include "data/window_order.h"
#include "text/tokenizer.h"

namespace sluice::data {

SpanShape span_shape(std::int64_t segment_length, const SpanCorruptionConfig& config) {
  invariant(segment_length >= 2, "a segment needs a kept and a noise token");
  // nearbyint rounds halves to even, like Python's round: 70 tokens give 10 noise tokens, not 11.
  const double noise = std::nearbyint(static_cast<double>(segment_length) * config.noise_density);
  const std::int64_t num_noise =
      std::clamp<std::int64_t>(static_cast<std::int64_t>(noise), 1, segment_length - 1);
  const double spans = std::nearbyint(static_cast<double>(num_noise) / config.mean_span_length);
  return {.segment_length = segment_length,
          .num_noise = num_noise,
          .num_spans = std::max<std::int64_t>(static_cast<std::int64_t>(spans), 1)};
}

SpanShape span_shape_for(const SpanCorruptionConfig& config) {
  invariant(config.input_length >= 3 && config.noise_density <= 0.9 && config.mean_span_length >= 1,
            "span corruption settings out of range");
  // One more token adds at most one input id, so every input length is reached: if num_noise grows,
  // num_kept does not, and with a mean span length of at least 1, num_spans grows by at most one.
  SpanShape shape = span_shape(2, config);
  for (SpanShape next = shape; next.input_length() <= config.input_length;
       next = span_shape(next.segment_length + 1, config))
    shape = next;
  invariant(shape.input_length() == config.input_length, "no segment gives the input length");
  return shape;
}

std::vector<std::int64_t> random_composition(std::int64_t total, std::int64_t num_parts,
                                             std::uint64_t key, std::uint64_t first_draw) {
  invariant(num_parts >= 1 && num_parts <= total, "more parts than units");
  // Choose num_parts − 1 of the total − 1 gaps between units as cuts. Selection sampling (Knuth,
  // The Art of Computer Programming 3.4.2, algorithm S): each gap is chosen with probability
  // wanted / left.
  std::vector<std::int64_t> parts;
  std::int64_t begin = 0;
  for (std::int64_t gap = 1; gap < total; ++gap) {
    const auto left = static_cast<std::uint64_t>(total - gap);
    const auto wanted = static_cast<std::uint64_t>(num_parts - 1) - parts.size();
    if (random_below(key, first_draw + static_cast<std::uint64_t>(gap - 1), left) >= wanted)
      continue;
    parts.push_back(gap - begin);
    begin = gap;
  }
  parts.push_back(total - begin);
  return parts;
}

Spans random_spans(const SpanShape& shape, std::uint64_t key) {
  return {.kept = random_composition(shape.num_kept(), shape.num_spans, key,
                                     static_cast<std::uint64_t>(shape.num_noise)),
          .noise = random_composition(shape.num_noise, shape.num_spans, key, 0)};
}

SpanRules span_rules(const SpanCorruptionConfig& config, const text::Tokenizer& tokenizer) {
  const SpanShape shape = span_shape_for(config);
  if (shape.num_spans > config.sentinels) {
    fail(ExitCode::kUsage, "objective.sentinels", cat(config.sentinels),
         cat("at least ", shape.num_spans, ", one per span of input_length ", config.input_length));
  }
  if (shape.num_spans > shape.num_kept()) {
    fail(ExitCode::kUsage, "objective.mean_span_length", shortest(config.mean_span_length),
         cat("longer spans or less noise: ", shape.num_spans, " spans with only ", shape.num_kept(),
             " kept tokens between them"));
  }
  require(tokenizer.eos().has_value(), ExitCode::kUsage, "objective.type", "span_corruption",
          "causal_lm, or a tokenizer with an end token");
  return {.shape = shape,
          .num_pieces = tokenizer.vocab_size(),
          .num_sentinels = config.sentinels,
          .eos = *tokenizer.eos()};
}

void corrupt(std::span<const std::int32_t> segment, const Spans& spans, const SpanRules& rules,
             std::span<std::int32_t> inputs, std::span<std::int32_t> targets) {
  const auto fits = [](std::size_t size, std::int64_t length) {
    return size == static_cast<std::size_t>(length);
  };
  invariant(fits(segment.size(), rules.shape.segment_length), "wrong segment length");
  invariant(fits(inputs.size(), rules.shape.input_length()) &&
                fits(targets.size(), rules.shape.target_length()),
            "wrong row lengths");
  invariant(
      fits(spans.kept.size(), rules.shape.num_spans) && spans.kept.size() == spans.noise.size(),
      "wrong number of spans");
  auto raw = segment.begin();
  auto input = inputs.begin(), target = targets.begin();
  for (std::size_t i = 0; i < spans.kept.size(); ++i) {
    input = std::copy_n(raw, spans.kept[i], input);
    raw += spans.kept[i];
    *input++ = *target++ = rules.sentinel(static_cast<std::int64_t>(i));
    target = std::copy_n(raw, spans.noise[i], target);
    raw += spans.noise[i];
  }
  *input = *target = rules.eos;
}

namespace {

// Rows to be filled by corrupt().
Batch empty_rows(std::int64_t num_rows, const SpanShape& shape) {
  Batch batch{.num_sequences = num_rows,
              .input_length = shape.input_length(),
              .target_length = shape.target_length()};
  batch.inputs.resize(static_cast<std::size_t>(num_rows * batch.input_length));
  batch.targets.resize(static_cast<std::size_t>(num_rows * batch.target_length));
  batch.num_targets = num_rows * batch.target_length;
  return batch;
}

void fill_row(Batch& batch, std::size_t row, std::span<const std::int32_t> segment,
              const Spans& spans, const SpanRules& rules) {
  const auto num_inputs = static_cast<std::size_t>(batch.input_length),
             num_targets = static_cast<std::size_t>(batch.target_length);
  corrupt(segment, spans, rules, std::span(batch.inputs).subspan(row * num_inputs, num_inputs),
          std::span(batch.targets).subspan(row * num_targets, num_targets));
}

std::uint64_t length_of(const SpanRules& rules) {
  return static_cast<std::uint64_t>(rules.shape.segment_length);
}

// `split`: "training" or "held-out".
void require_a_segment(const TokenStream& stream, const SpanRules& rules, std::string_view split) {
  if (stream.num_tokens() >= length_of(rules)) return;
  fail(ExitCode::kBadData, "objective.input_length",
       cat(rules.shape.input_length(), " (segments of ",
           count_of(static_cast<std::int64_t>(length_of(rules)), "token"), ") for a ", split,
           " split of ", stream.num_tokens()),
       "shorter inputs, or more text");
}

// The spans of a held-out segment, independent of the run's seed.
Spans spans_of_segment(std::uint64_t segment, const SpanShape& shape) {
  return random_spans(shape, random_key(0, "evaluation spans", {segment}));
}

}  // namespace

SpanCorruptionBatches::SpanCorruptionBatches(const TokenStream& stream, Settings settings)
    : stream_(stream), settings_(settings) {
  invariant(settings.batch_sequences > 0, "empty batches");
  require_a_segment(stream, settings.rules, "training");
  num_segments_ = stream.num_tokens() / length_of(settings.rules);
}

std::uint64_t SpanCorruptionBatches::segment_at(std::uint64_t step, std::int64_t row) const {
  invariant(row >= 0 && row < settings_.batch_sequences, "row outside the batch");
  const std::uint64_t position = step * static_cast<std::uint64_t>(settings_.batch_sequences) +
                                 static_cast<std::uint64_t>(row);
  return window_in_order(settings_.seed, num_segments_, position);
}

Spans SpanCorruptionBatches::spans_at(std::uint64_t step, std::int64_t row) const {
  return random_spans(settings_.rules.shape,
                      random_key(settings_.seed, "spans", {step, static_cast<std::uint64_t>(row)}));
}

std::uint64_t SpanCorruptionBatches::num_dropped_tokens() const {
  return stream_.num_tokens() % length_of(settings_.rules);
}

Batch SpanCorruptionBatches::batch(std::uint64_t step) const {
  Batch batch = empty_rows(settings_.batch_sequences, settings_.rules.shape);
  std::vector<std::int32_t> segment(length_of(settings_.rules));
  for (std::int64_t row = 0; row < settings_.batch_sequences; ++row) {
    stream_.read(segment_at(step, row) * segment.size(), segment);
    fill_row(batch, static_cast<std::size_t>(row), segment, spans_at(step, row), settings_.rules);
  }
  return batch;
}

SpanCorruptionEvaluation::SpanCorruptionEvaluation(const TokenStream& stream, Settings settings)
    : stream_(stream), settings_(settings) {
  invariant(settings.batch_sequences > 0, "empty batches");
  if (stream.num_tokens() > 0) require_a_segment(stream, settings.rules, "held-out");
  num_segments_ = stream.num_tokens() / length_of(settings.rules);
  const auto targets = static_cast<std::uint64_t>(settings.rules.shape.target_length());
  const std::uint64_t allowed = settings.max_tokens == 0
                                    ? num_segments_
                                    : std::max<std::uint64_t>(settings.max_tokens / targets, 1);
  num_chosen_ = std::min(num_segments_, allowed);
}

std::uint64_t SpanCorruptionEvaluation::num_batches() const {
  const auto rows = static_cast<std::uint64_t>(settings_.batch_sequences);
  return (num_chosen_ + rows - 1) / rows;
}

std::uint64_t SpanCorruptionEvaluation::num_targets() const {
  return num_chosen_ * static_cast<std::uint64_t>(settings_.rules.shape.target_length());
}

std::uint64_t SpanCorruptionEvaluation::num_dropped_tokens() const {
  return stream_.num_tokens() % length_of(settings_.rules);
}

std::uint64_t SpanCorruptionEvaluation::num_rows(std::uint64_t index) const {
  invariant(index < num_batches(), "evaluation batch out of range");
  const auto rows = static_cast<std::uint64_t>(settings_.batch_sequences);
  return std::min(rows, num_chosen_ - index * rows);
}

// Spread evenly, as in EvaluationWindows: row 0 is always segment 0.
std::uint64_t SpanCorruptionEvaluation::segment_at(std::uint64_t row) const {
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>(static_cast<Wide>(row) * num_segments_ / num_chosen_);
}

Batch SpanCorruptionEvaluation::batch(std::uint64_t index) const {
  const std::uint64_t count = num_rows(index),
                      first = index * static_cast<std::uint64_t>(settings_.batch_sequences);
  Batch batch = empty_rows(static_cast<std::int64_t>(count), settings_.rules.shape);
  std::vector<std::int32_t> tokens(length_of(settings_.rules));
  for (std::uint64_t row = 0; row < count; ++row) {
    const std::uint64_t segment = segment_at(first + row);
    stream_.read(segment * tokens.size(), tokens);
    fill_row(batch, row, tokens, spans_of_segment(segment, settings_.rules.shape), settings_.rules);
  }
  return batch;
}

std::vector<std::uint32_t> SpanCorruptionEvaluation::documents_of(std::uint64_t index) const {
  const std::uint64_t count = num_rows(index),
                      first = index * static_cast<std::uint64_t>(settings_.batch_sequences);
  std::vector<std::uint32_t> documents, of_tokens(length_of(settings_.rules));
  for (std::uint64_t row = 0; row < count; ++row) {
    const std::uint64_t segment = segment_at(first + row);
    stream_.documents(segment * of_tokens.size(), of_tokens);
    const Spans spans = spans_of_segment(segment, settings_.rules.shape);
    auto raw = of_tokens.begin();
    for (std::size_t i = 0; i < spans.noise.size(); ++i) {
      raw += spans.kept[i];
      documents.push_back(*raw);  // the sentinel
      documents.insert(documents.end(), raw, raw + spans.noise[i]);
      raw += spans.noise[i];
    }
    documents.push_back(of_tokens.back());  // the end token
  }
  return documents;
}

}  // namespace sluice::data
