#include "data/span_corruption.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "base/random.h"
#include "tests/data/span_support.h"
#include "tests/text/text_support.h"
#include "text/tokenizer.h"

namespace sluice::data {
namespace {

using sluice::testing::begins_of;
using sluice::testing::counting_stream;
using sluice::testing::message_of;
using sluice::testing::rules_for;
using sluice::testing::span_config;
using Ids = std::vector<std::int32_t>;

TEST(SpanShape, MatchesThePaper) {
  const std::int64_t rows[][5] = {
      {512, 568, 114, 28, 85}, {256, 284, 58, 14, 43}, {128, 141, 29, 7, 21}, {64, 70, 14, 3, 10}};
  for (const auto& [inputs, segment, targets, spans, noise] : rows) {
    const SpanShape shape = span_shape_for(span_config(inputs));
    EXPECT_EQ(shape.segment_length, segment);
    EXPECT_EQ(shape.input_length(), inputs);
    EXPECT_EQ(shape.target_length(), targets);
    EXPECT_EQ(shape.num_spans, spans);
    EXPECT_EQ(shape.num_noise, noise);
    EXPECT_EQ(segment_length_for(span_config(inputs)), segment);
  }
}

TEST(SpanShape, LargestSegmentGivesExactlyTheInputLength) {
  for (const double density : {0.01, 0.15, 1.0 / 3, 0.5, 0.9}) {
    for (const double mean : {1.0, 1.1, 1.5, 2.0, 3.0, 7.3, 1000.0}) {
      for (std::int64_t inputs = 8; inputs < 700; inputs += 1 + inputs / 50) {
        const SpanShape shape = span_shape_for(span_config(inputs, density, mean));
        ASSERT_EQ(shape.input_length(), inputs) << density << ", " << mean;
        ASSERT_GT(
            span_shape(shape.segment_length + 1, span_config(inputs, density, mean)).input_length(),
            inputs);
        ASSERT_GE(shape.num_noise, shape.num_spans);
      }
    }
  }
  EXPECT_EQ(span_shape_for(span_config(65536, 0.9, 1000)).input_length(), 65536);
}

// All compositions are equally likely. Chi-square as in window_order_test.cpp, with fixed keys.
TEST(RandomComposition, IsUniform) {
  constexpr int kKeys = 12'000;
  const std::int64_t cases[][3] = {{5, 3, 6}, {6, 2, 5}, {7, 4, 20}, {9, 8, 8},
                                   {2, 1, 1}, {4, 4, 1}, {1, 1, 1}};
  for (const auto& [total, parts, num_compositions] : cases) {
    std::map<std::vector<std::int64_t>, int> counts;
    for (int key = 0; key < kKeys; ++key) {
      const auto lengths =
          random_composition(total, parts, random_key(static_cast<std::uint64_t>(key), "spans"), 3);
      ASSERT_EQ(lengths.size(), static_cast<std::size_t>(parts));
      ASSERT_EQ(std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0}), total);
      ASSERT_GE(*std::min_element(lengths.begin(), lengths.end()), 1);
      counts[lengths] += 1;
    }
    ASSERT_EQ(counts.size(), static_cast<std::size_t>(num_compositions))
        << total << " in " << parts;
    const double expected = static_cast<double>(kKeys) / static_cast<double>(num_compositions);
    const auto degrees = static_cast<double>(num_compositions - 1);
    double chi_square = 0;
    for (const auto& [lengths, count] : counts)
      chi_square += (count - expected) * (count - expected) / expected;
    EXPECT_LT(chi_square, degrees + 4 * std::sqrt(2 * degrees) + 4) << total << " in " << parts;
  }
}

// All pairs of compositions are equally likely: they share a key, but no random draw. 7 tokens, 4
// kept and 3 noise, in 2 spans each.
TEST(RandomSpans, KeptAndNoiseAreIndependent) {
  const SpanShape shape{.segment_length = 7, .num_noise = 3, .num_spans = 2};
  std::map<std::pair<std::int64_t, std::int64_t>, int> counts;
  for (std::uint64_t step = 0; step < 12'000; ++step) {
    const Spans spans = random_spans(shape, random_key(1, "spans", {step, 0}));
    counts[{spans.kept[0], spans.noise[0]}] += 1;
  }
  ASSERT_EQ(counts.size(), 6U);
  double chi_square = 0;
  for (const auto& [pair, count] : counts)
    chi_square += (count - 2000.0) * (count - 2000.0) / 2000.0;
  EXPECT_LT(chi_square, 20.5);  // 99.9th percentile for 5 degrees of freedom
}

// In long segments, the mean length of a span does not depend on its position.
TEST(RandomSpans, AllPositionsHaveTheSameMeanLength) {
  const SpanShape shape = span_shape_for(span_config(512));
  std::vector<double> sums(28, 0);
  constexpr int kDraws = 4000;
  for (std::uint64_t step = 0; step < kDraws; ++step) {
    const Spans spans = random_spans(shape, random_key(2, "spans", {step, 5}));
    for (std::size_t i = 0; i < 28; ++i) sums[i] += static_cast<double>(spans.kept[i]);
  }
  // One part of a composition of n into k: mean n/k, variance about (n/k)² (k − 1)/(k + 1).
  const double mean = 483.0 / 28, deviation = mean / std::sqrt(kDraws);
  for (const double sum : sums) EXPECT_NEAR(sum / kDraws, mean, 4.5 * deviation);
}

// A run resumed by a later version must see the same masks, and evaluations must stay comparable.
TEST(RandomSpans, AreStableAcrossVersions) {
  const Spans spans = random_spans(span_shape_for(span_config(64)), random_key(1, "spans", {0, 0}));
  EXPECT_EQ(spans.kept, (std::vector<std::int64_t>{11, 29, 20}));
  EXPECT_EQ(spans.noise, (std::vector<std::int64_t>{6, 1, 3}));
}

TEST(Corrupt, RejectsInvalidArguments) {
  const SpanRules rules = rules_for(span_config(64));
  const Spans spans = random_spans(rules.shape, 1);
  Ids segment(70), inputs(64), targets(14);
  EXPECT_THROW(corrupt(std::span(segment).first(69), spans, rules, inputs, targets),
               InvariantError);
  EXPECT_THROW(corrupt(segment, spans, rules, std::span(inputs).first(63), targets),
               InvariantError);
  EXPECT_THROW(corrupt(segment, spans, rules, inputs, std::span(targets).first(13)),
               InvariantError);
  EXPECT_THROW(corrupt(segment, {.kept = {60}, .noise = {10}}, rules, inputs, targets),
               InvariantError);
  EXPECT_THROW(random_composition(3, 4, 1, 0), InvariantError);
  EXPECT_THROW(random_composition(3, 0, 1, 0), InvariantError);
  EXPECT_THROW(span_shape(1, {}), InvariantError);
}

TEST(SpanCorruption, InputsAndTargetsContainEverySegment) {
  for (std::int64_t inputs = 8; inputs < 600; inputs += 1 + inputs / 12) {
    for (const double density : {0.01, 0.15, 0.5}) {
      SpanCorruptionConfig config = span_config(inputs, density);
      config.sentinels = 300;
      const SpanRules rules = rules_for(config);
      const TokenStream stream =
          counting_stream(5 * static_cast<std::uint64_t>(rules.shape.segment_length));
      const SpanCorruptionBatches batches(stream,
                                          {.seed = 4, .batch_sequences = 5, .rules = rules});
      for (std::uint64_t step = 0; step < 4; ++step) begins_of(batches.batch(step), rules);
      if (HasFailure()) FAIL() << "input length " << inputs << ", density " << density;
    }
  }
}

TEST(SpanCorruption, EachSegmentOncePerEpochEvenAcrossSteps) {
  const SpanRules rules = rules_for(span_config(32));
  const auto length = static_cast<std::uint64_t>(rules.shape.segment_length);
  const TokenStream stream = counting_stream(33 * length + 7);
  for (const std::int64_t rows : {1, 4, 33, 50}) {
    const SpanCorruptionBatches batches(stream,
                                        {.seed = 1, .batch_sequences = rows, .rules = rules});
    ASSERT_EQ(batches.windows_per_epoch(), 33U);
    EXPECT_EQ(batches.num_dropped_tokens(), 7U);
    std::vector<std::uint64_t> begins;
    for (std::uint64_t step = 0; begins.size() < 3 * 33; ++step) {
      for (const std::uint64_t begin : begins_of(batches.batch(step), rules))
        begins.push_back(begin);
    }
    for (std::ptrdiff_t epoch = 0; epoch < 3; ++epoch) {
      std::vector<std::uint64_t> one(begins.begin() + 33 * epoch,
                                     begins.begin() + 33 * (epoch + 1));
      std::sort(one.begin(), one.end());
      for (std::uint64_t i = 0; i < 33; ++i)
        ASSERT_EQ(one[i], i * length) << "rows " << rows << ", epoch " << epoch;
    }
  }
}

TEST(SpanCorruption, BatchIsAPureFunctionOfTheStep) {
  const SpanRules rules = rules_for(span_config(64));
  const TokenStream stream = counting_stream(10'000);
  const SpanCorruptionBatches batches(stream, {.seed = 7, .batch_sequences = 6, .rules = rules});
  const Batch far = batches.batch(1'000'000'000'000), first = batches.batch(0);
  const SpanCorruptionBatches again(stream, {.seed = 7, .batch_sequences = 6, .rules = rules});
  EXPECT_EQ(again.batch(0).inputs, first.inputs);
  EXPECT_EQ(again.batch(0).targets, first.targets);
  EXPECT_EQ(again.batch(1'000'000'000'000).inputs, far.inputs);
  // Micro-batches contain the same rows.
  Ids inputs, targets;
  for (const Batch& part : first.split(4)) {
    EXPECT_EQ(part.num_targets, part.num_sequences * 14);
    inputs.insert(inputs.end(), part.inputs.begin(), part.inputs.end());
    targets.insert(targets.end(), part.targets.begin(), part.targets.end());
  }
  EXPECT_EQ(inputs, first.inputs);
  EXPECT_EQ(targets, first.targets);
}

TEST(SpanCorruption, SpansDependOnSeedStepAndRow) {
  const SpanRules rules = rules_for(span_config(64));
  const TokenStream stream = counting_stream(10'000);
  const SpanCorruptionBatches one(stream, {.seed = 1, .batch_sequences = 6, .rules = rules}),
      two(stream, {.seed = 2, .batch_sequences = 6, .rules = rules});
  const auto noise = [](const SpanCorruptionBatches& batches, std::uint64_t step,
                        std::int64_t row) {
    const Spans spans = batches.spans_at(step, row);
    return std::pair(spans.kept, spans.noise);
  };
  std::map<std::pair<std::vector<std::int64_t>, std::vector<std::int64_t>>, int> seen;
  for (const auto* batches : {&one, &two}) {
    for (std::uint64_t step = 0; step < 20; ++step) {
      for (std::int64_t row = 0; row < 6; ++row) seen[noise(*batches, step, row)] += 1;
    }
  }
  EXPECT_GT(seen.size(), 235U);  // of 240 draws among 1,770 · 36
  EXPECT_NE(one.segment_at(0, 0), two.segment_at(0, 0));
  EXPECT_THROW(one.segment_at(0, 6), InvariantError);
}

TEST(SpanCorruption, RejectsStreamsShorterThanASegment) {
  const SpanRules rules = rules_for(span_config(64));
  for (const std::uint64_t size : {0, 1, 69}) {
    const TokenStream stream = counting_stream(size);
    const std::string message =
        message_of(ExitCode::kBadData, [&] { SpanCorruptionBatches(stream, {.rules = rules}); });
    EXPECT_NE(message.find("objective.input_length: received 64 (segments of 70 tokens)"),
              std::string::npos)
        << message;
  }
  const TokenStream enough = counting_stream(70);
  EXPECT_EQ(
      SpanCorruptionBatches(enough, {.batch_sequences = 3, .rules = rules}).windows_per_epoch(),
      1U);
  EXPECT_EQ(SpanCorruptionEvaluation(enough, {.rules = rules}).num_targets(), 14U);
}

class NoEnd : public text::Tokenizer {
 public:
  void encode(std::string_view text, std::vector<std::int32_t>& out) const override {
    bytes_->encode(text, out);
  }
  std::string decode(std::span<const std::int32_t> ids) const override {
    return bytes_->decode(ids);
  }
  std::int64_t vocab_size() const override { return 256; }
  std::optional<std::int32_t> eos() const override { return std::nullopt; }
  std::optional<std::int32_t> pad() const override { return std::nullopt; }
  std::optional<std::int32_t> unk() const override { return std::nullopt; }
  bool lossless() const override { return true; }
  std::string_view file_name() const override { return "none"; }
  const std::string& serialized() const override { return bytes_->serialized(); }

 private:
  std::unique_ptr<text::Tokenizer> bytes_ = text::make_bytes_tokenizer();
};

TEST(SpanRules, DependOnTheTokenizer) {
  const SpanRules rules = span_rules({}, *text::make_bytes_tokenizer());
  EXPECT_EQ(rules.shape.segment_length, 568);
  EXPECT_EQ(rules.vocab_size(), 357);
  EXPECT_EQ(rules.sentinel(0), 356);
  EXPECT_EQ(rules.sentinel(99), 257);
  EXPECT_EQ(rules.eos, 256);
  // T5: 32,000 pieces and 100 sentinels.
  const SpanRules t5{.shape = {}, .num_pieces = 32'000, .num_sentinels = 100, .eos = 1};
  EXPECT_EQ(t5.sentinel(0), 32'099);
}

class Collected : public config::Problems {
 public:
  void add(std::string_view field, std::string_view received, std::string_view) override {
    lines.push_back(std::string(field) + ": " + std::string(received));
  }
  std::vector<std::string> lines;
};

std::vector<std::string> problems_of(const SpanCorruptionConfig& config) {
  Collected problems;
  SpanCorruptionConfig::check(config, problems);
  return problems.lines;
}

TEST(SpanRules, RejectInvalidConfigurations) {
  const auto bytes = text::make_bytes_tokenizer();
  SpanCorruptionConfig config;
  config.sentinels = 28;
  EXPECT_EQ(problems_of(config), std::vector<std::string>{});
  EXPECT_EQ(span_rules(config, *bytes).num_sentinels, 28);
  config.sentinels = 27;
  EXPECT_EQ(problems_of(config), std::vector<std::string>{"sentinels: 27"});
  const std::string message = message_of(ExitCode::kUsage, [&] { span_rules(config, *bytes); });
  EXPECT_NE(message.find("objective.sentinels: received 27; expected at least 28"),
            std::string::npos)
      << message;
  config = span_config(64, 0.9, 1);
  config.sentinels = 1000;
  EXPECT_EQ(problems_of(config), std::vector<std::string>{"mean_span_length: 1"});
  EXPECT_NE(message_of(ExitCode::kUsage, [&] { span_rules(config, *bytes); })
                .find("objective.mean_span_length"),
            std::string::npos);
  EXPECT_NE(message_of(ExitCode::kUsage, [&] { span_rules({}, NoEnd()); }).find("end token"),
            std::string::npos);
}

}  // namespace
}  // namespace sluice::data
