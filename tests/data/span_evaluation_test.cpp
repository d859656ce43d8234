#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "base/random.h"
#include "tests/data/span_support.h"
#include "tests/text/text_support.h"

namespace sluice::data {
namespace {

using sluice::testing::begins_of;
using sluice::testing::counting_stream;
using sluice::testing::kPieces;
using sluice::testing::message_of;
using sluice::testing::rules_for;
using sluice::testing::span_config;
using Ids = std::vector<std::int32_t>;

TEST(SpanEvaluation, ScoresEveryWholeSegmentOnceWithFixedSpans) {
  const SpanRules rules = rules_for(span_config(64));
  const TokenStream stream = counting_stream(25 * 70 + 69);
  const SpanCorruptionEvaluation all(stream, {.batch_sequences = 4, .rules = rules}),
      other(stream, {.batch_sequences = 7, .rules = rules});
  EXPECT_EQ(all.num_batches(), 7U);
  EXPECT_EQ(all.num_targets(), 25U * 14);
  EXPECT_EQ(all.num_dropped_tokens(), 69U);
  EXPECT_TRUE(all.is_whole());
  Ids inputs, targets, other_inputs, other_targets;
  std::uint64_t segment = 0;
  for (std::uint64_t index = 0; index < all.num_batches(); ++index) {
    const Batch batch = all.batch(index);
    EXPECT_EQ(batch.num_sequences, index == 6 ? 1 : 4);
    for (const std::uint64_t begin : begins_of(batch, rules)) EXPECT_EQ(begin, 70 * segment++);
    inputs.insert(inputs.end(), batch.inputs.begin(), batch.inputs.end());
    targets.insert(targets.end(), batch.targets.begin(), batch.targets.end());
  }
  EXPECT_EQ(segment, 25U);
  for (std::uint64_t index = 0; index < other.num_batches(); ++index) {
    const Batch batch = other.batch(index);
    other_inputs.insert(other_inputs.end(), batch.inputs.begin(), batch.inputs.end());
    other_targets.insert(other_targets.end(), batch.targets.begin(), batch.targets.end());
  }
  EXPECT_EQ(other_inputs, inputs);
  EXPECT_EQ(other_targets, targets);
  EXPECT_THROW(all.batch(7), InvariantError);
  EXPECT_THROW(all.documents_of(7), InvariantError);
}

// The masks of an evaluation must not change, so that results of different versions are comparable.
TEST(SpanEvaluation, SpansAreStableAcrossVersions) {
  const SpanRules rules = rules_for(span_config(64));
  const TokenStream stream =
      counting_stream(2 * static_cast<std::uint64_t>(rules.shape.segment_length));
  const Batch batch = SpanCorruptionEvaluation(stream, {.rules = rules}).batch(0);
  EXPECT_EQ(batch.targets, (Ids{1000099, 41,  42,  43,  44,      1000098, 50,  1000097, 66,      67,
                                68,      69,  70,  0,   1000099, 78,      79,  80,      1000098, 99,
                                100,     101, 102, 103, 104,     1000097, 140, 0}));
}

TEST(SpanEvaluation, MaxTokensSelectsEvenlySpacedWholeSegments) {
  const SpanRules rules = rules_for(span_config(64));
  const TokenStream stream = counting_stream(100 * 70);
  const SpanCorruptionEvaluation all(stream, {.batch_sequences = 1, .rules = rules});
  for (const std::uint64_t limit : {1, 13, 14, 27, 28, 140, 700, 1399, 1400, 5000}) {
    const SpanCorruptionEvaluation some(
        stream, {.batch_sequences = 3, .max_tokens = limit, .rules = rules});
    const std::uint64_t expected = std::clamp<std::uint64_t>(limit / 14, 1, 100);
    EXPECT_EQ(some.num_targets(), 14 * expected) << limit;
    EXPECT_EQ(some.is_whole(), limit >= 1400);
    std::vector<std::uint64_t> begins;
    for (std::uint64_t index = 0; index < some.num_batches(); ++index) {
      const Batch batch = some.batch(index);
      for (const std::uint64_t begin : begins_of(batch, rules)) begins.push_back(begin);
      const Batch same = all.batch(begins.back() / 70),
                  last = batch.rows(batch.num_sequences - 1, 1);
      EXPECT_EQ(last.targets, same.targets) << "the limit changed the spans";
    }
    ASSERT_EQ(begins.size(), expected);
    for (std::uint64_t i = 0; i < expected; ++i) EXPECT_EQ(begins[i], i * 100 / expected * 70);
  }
}

TEST(SpanEvaluation, ShortStreams) {
  const SpanRules rules = rules_for(span_config(64));
  const TokenStream empty = counting_stream(0), shorter = counting_stream(69);
  const SpanCorruptionEvaluation none(empty, {.rules = rules});
  EXPECT_EQ(none.num_batches(), 0U);
  EXPECT_EQ(none.num_targets(), 0U);
  EXPECT_EQ(none.num_documents(), 0U);
  const std::string message =
      message_of(ExitCode::kBadData, [&] { SpanCorruptionEvaluation(shorter, {.rules = rules}); });
  EXPECT_NE(message.find("held-out"), std::string::npos) << message;
}

// The token at position p is p + 1, so the target determines its document.
TEST(SpanEvaluation, EachTargetBelongsToADocument) {
  const SpanRules rules = rules_for(span_config(64));
  const std::vector<std::uint64_t> ends{3, 3, 50, 139, 140, 141, 141, 300, 701};
  const TokenStream stream = counting_stream(720, ends);
  ASSERT_EQ(stream.num_documents(), 10U);
  const auto document_at = [&](std::int32_t token) {
    return static_cast<std::uint32_t>(
        std::count_if(ends.begin(), ends.end(),
                      [&](std::uint64_t end) { return static_cast<std::uint64_t>(token) > end; }));
  };
  const SpanCorruptionEvaluation evaluation(stream, {.batch_sequences = 4, .rules = rules});
  EXPECT_EQ(evaluation.num_documents(), 10U);
  std::vector<std::uint64_t> num_targets(10);
  for (std::uint64_t index = 0; index < evaluation.num_batches(); ++index) {
    const Batch batch = evaluation.batch(index);
    const auto documents = evaluation.documents_of(index);
    ASSERT_EQ(documents.size(), batch.targets.size());
    for (std::size_t i = 0; i < documents.size(); ++i) {
      const std::int32_t target = batch.targets[i];
      // A span's first token follows its sentinel; a segment's last token is noise and precedes the
      // end token.
      const std::int32_t token = target >= kPieces     ? batch.targets[i + 1]
                                 : target == rules.eos ? batch.targets[i - 1]
                                                       : target;
      EXPECT_EQ(documents[i], document_at(token));
      num_targets.at(documents[i]) += 1;
    }
  }
  EXPECT_EQ(std::accumulate(num_targets.begin(), num_targets.end(), std::uint64_t{0}),
            evaluation.num_targets());
  EXPECT_EQ(num_targets[1], 0U);  // documents without tokens
  EXPECT_EQ(num_targets[6], 0U);
  EXPECT_GT(num_targets[8], 80U);
}

}  // namespace
}  // namespace sluice::data
