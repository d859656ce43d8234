// For any density, span length and input length: inputs and targets have the expected lengths, the
// sentinels are in order, and inputs and targets together contain the whole segment.
#include <algorithm>
#include <map>
#include <numeric>
#include <vector>

#include "data/span_corruption.h"
#include "tests/base/property.h"
#include "tests/data/span_support.h"

namespace sluice::data {
namespace {

using sluice::testing::check_property;
using sluice::testing::counting_stream;
using sluice::testing::rules_for;
using sluice::testing::span_config;

// Rules with enough sentinels and kept tokens; the same conditions as SpanCorruptionConfig::check.
SpanRules any_rules(std::int64_t longest) {
  const auto config = *rc::gen::suchThat(
      rc::gen::map(rc::gen::tuple(rc::gen::inRange<std::int64_t>(8, longest),
                                  rc::gen::inRange(10, 901), rc::gen::inRange(10, 300)),
                   [](const std::tuple<std::int64_t, int, int>& t) {
                     SpanCorruptionConfig made = span_config(
                         std::get<0>(t), std::get<1>(t) / 1000.0, std::get<2>(t) / 10.0);
                     made.sentinels = 65536;
                     return made;
                   }),
      [](const SpanCorruptionConfig& made) {
        const SpanShape shape = span_shape_for(made);
        return shape.num_spans <= shape.num_kept();
      });
  return rules_for(config);
}

// Reconstructs the segment from inputs and targets alone, and checks their structure
// (span_corruption.h).
std::vector<std::int32_t> reassemble(const std::vector<std::int32_t>& inputs,
                                     const std::vector<std::int32_t>& targets,
                                     const SpanRules& rules) {
  RC_ASSERT(inputs.back() == rules.eos && targets.back() == rules.eos);
  std::map<std::int32_t, std::vector<std::int32_t>> noise;  // by sentinel
  std::int32_t sentinel = -1, expected = rules.sentinel(0);
  for (std::size_t i = 0; i + 1 < targets.size(); ++i) {
    if (targets[i] < rules.num_pieces) {
      RC_ASSERT(sentinel >= 0);
      noise[sentinel].push_back(targets[i]);
    } else {
      sentinel = targets[i];
      RC_ASSERT(sentinel == expected--);
      noise[sentinel];
    }
  }
  std::vector<std::int32_t> segment;
  std::int64_t num_sentinels = 0;
  for (std::size_t i = 0; i + 1 < inputs.size(); ++i) {
    if (inputs[i] < rules.num_pieces) {
      segment.push_back(inputs[i]);
      continue;
    }
    RC_ASSERT(inputs[i] == rules.sentinel(num_sentinels++));
    RC_ASSERT(!noise[inputs[i]].empty());
    segment.insert(segment.end(), noise[inputs[i]].begin(), noise[inputs[i]].end());
  }
  RC_ASSERT(num_sentinels == rules.shape.num_spans &&
            static_cast<std::int64_t>(noise.size()) == num_sentinels);
  return segment;
}

TEST(SpanCorruptionProperty, IsLossless) {
  check_property(150, [] {
    const SpanRules rules = any_rules(600);
    const SpanShape& shape = rules.shape;
    const Spans spans = random_spans(shape, *rc::gen::arbitrary<std::uint64_t>());
    RC_ASSERT(std::accumulate(spans.kept.begin(), spans.kept.end(), std::int64_t{0}) ==
              shape.num_kept());
    RC_ASSERT(std::accumulate(spans.noise.begin(), spans.noise.end(), std::int64_t{0}) ==
              shape.num_noise);
    for (const auto* lengths : {&spans.kept, &spans.noise}) {
      RC_ASSERT(static_cast<std::int64_t>(lengths->size()) == shape.num_spans);
      RC_ASSERT(*std::min_element(lengths->begin(), lengths->end()) >= 1);
    }
    const auto segment = *rc::gen::container<std::vector<std::int32_t>>(
        static_cast<std::size_t>(shape.segment_length), rc::gen::inRange<std::int32_t>(1, 1000));
    std::vector<std::int32_t> inputs(static_cast<std::size_t>(shape.input_length())),
        targets(static_cast<std::size_t>(shape.target_length()));
    corrupt(segment, spans, rules, inputs, targets);
    RC_ASSERT(reassemble(inputs, targets, rules) == segment);
  });
}

TEST(SpanCorruptionProperty, InputLengthIsExact) {
  check_property(300, [] {
    const auto config =
        span_config(*rc::gen::inRange<std::int64_t>(8, 4000), *rc::gen::inRange(10, 901) / 1000.0,
                    *rc::gen::inRange(100, 20'000) / 100.0);
    const SpanShape shape = span_shape_for(config);
    RC_ASSERT(shape.input_length() == config.input_length);
    RC_ASSERT(shape.num_kept() + shape.num_noise == shape.segment_length);
    RC_ASSERT(shape.num_noise >= shape.num_spans && shape.num_spans >= 1);
    RC_ASSERT(span_shape(shape.segment_length + 1, config).input_length() > config.input_length);
  });
}

TEST(SpanCorruptionProperty, BatchDependsOnlyOnDataSeedAndStep) {
  check_property(40, [] {
    const SpanRules rules = any_rules(60);
    const auto num_segments = *rc::gen::inRange<std::uint64_t>(1, 30);
    const SpanCorruptionBatches::Settings settings{
        .seed = *rc::gen::arbitrary<std::uint64_t>(),
        .batch_sequences = *rc::gen::inRange<std::int64_t>(1, 12),
        .rules = rules};
    const auto length = static_cast<std::uint64_t>(rules.shape.segment_length);
    const TokenStream stream =
        counting_stream(num_segments * length + *rc::gen::inRange<std::uint64_t>(0, length));
    const SpanCorruptionBatches one(stream, settings), other(stream, settings);
    RC_ASSERT(one.windows_per_epoch() == num_segments);
    const std::uint64_t step = *rc::gen::inRange<std::uint64_t>(0, 100);
    other.batch(step + 1);
    const Batch batch = one.batch(step), again = other.batch(step);
    RC_ASSERT(batch.inputs == again.inputs && batch.targets == again.targets);
    const auto row_of = [](const std::vector<std::int32_t>& ids, std::int64_t row,
                           std::int64_t size) {
      return std::vector<std::int32_t>(ids.begin() + row * size, ids.begin() + (row + 1) * size);
    };
    for (std::int64_t row = 0; row < batch.num_sequences; ++row) {
      const auto segment = reassemble(row_of(batch.inputs, row, batch.input_length),
                                      row_of(batch.targets, row, batch.target_length), rules);
      std::vector<std::int32_t> expected(length);
      std::iota(expected.begin(), expected.end(),
                static_cast<std::int32_t>(one.segment_at(step, row) * length) + 1);
      RC_ASSERT(segment == expected);
    }
  });
}

}  // namespace
}  // namespace sluice::data
