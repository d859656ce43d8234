#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "data/causal_batches.h"

namespace sluice::data {
namespace {

TokenStream stream_from_100(std::int32_t num_tokens) {
  std::vector<std::int32_t> ids(static_cast<std::size_t>(num_tokens));
  std::iota(ids.begin(), ids.end(), 100);  // the token at position p is 100 + p
  return TokenStream(std::move(ids));
}

constexpr std::int32_t kStart = 7;

struct Scores {
  std::vector<int> times;              // how often each position of the stream was a target
  std::vector<std::int64_t> contexts;  // number of tokens before it in its window
  std::int64_t num_targets = 0;
};

Scores score(const TokenStream& stream, const EvaluationWindows& windows,
             const EvaluationWindows::Settings& settings) {
  Scores scores{std::vector<int>(stream.num_tokens(), 0),
                std::vector<std::int64_t>(stream.num_tokens(), -1)};
  for (std::uint64_t index = 0; index < windows.num_batches(); ++index) {
    const Batch batch = windows.batch(index);
    EXPECT_LE(batch.num_sequences, settings.batch_sequences);
    EXPECT_GT(batch.num_sequences, 0);
    std::int64_t here = 0;
    for (std::size_t i = 0; i < batch.targets.size(); ++i) {
      const std::int32_t target = batch.targets[i];
      if (target == kIgnoredTarget) continue;
      here += 1;
      const std::int32_t before = target == 100 ? kStart : target - 1;
      EXPECT_EQ(batch.inputs[i], before) << "the input does not precede the target";
      scores.times[static_cast<std::size_t>(target - 100)] += 1;
      scores.contexts[static_cast<std::size_t>(target - 100)] =
          static_cast<std::int64_t>(i) % settings.sequence_length + 1;
    }
    EXPECT_EQ(here, batch.num_targets);
    scores.num_targets += here;
  }
  EXPECT_EQ(scores.num_targets, static_cast<std::int64_t>(windows.num_targets()));
  return scores;
}

TEST(EvaluationWindows, ScoresEachTargetExactlyOnce) {
  for (const std::int32_t size : {1, 2, 7, 8, 9, 15, 16, 17, 64, 100, 101}) {
    const TokenStream stream = stream_from_100(size);
    for (const std::int64_t length : {1, 2, 8, 16}) {
      for (std::int64_t stride = 1; stride <= length; ++stride) {
        for (const std::int32_t start : {-1, kStart}) {
          const EvaluationWindows::Settings settings{.sequence_length = length,
                                                     .stride = stride,
                                                     .batch_sequences = 3,
                                                     .max_tokens = 0,
                                                     .start = start};
          const Scores scores = score(stream, EvaluationWindows(stream, settings), settings);
          for (std::int32_t p = 0; p < size; ++p) {
            ASSERT_EQ(scores.times[static_cast<std::size_t>(p)], p == 0 && start < 0 ? 0 : 1)
                << "size " << size << ", length " << length << ", stride " << stride << ", start "
                << start << ", position " << p;
          }
        }
      }
    }
  }
}

TEST(EvaluationWindows, StrideProvidesContext) {
  const TokenStream stream = stream_from_100(100);
  const EvaluationWindows::Settings settings{
      .sequence_length = 16, .stride = 4, .batch_sequences = 5, .max_tokens = 0, .start = kStart};
  const Scores scores = score(stream, EvaluationWindows(stream, settings), settings);
  for (std::size_t p = 16; p < 100; ++p) EXPECT_GT(scores.contexts[p], 12) << p;
  for (std::size_t p = 0; p < 16; ++p)
    EXPECT_EQ(scores.contexts[p], static_cast<std::int64_t>(p) + 1);
}

TEST(EvaluationWindows, MaxTokensLimitsAndSpreadsWindows) {
  const TokenStream stream = stream_from_100(1000);
  for (const std::int64_t stride : {3, 10}) {
    for (const std::uint64_t limit : {1, 5, 10, 11, 95, 100, 500, 998, 999, 1000, 5000}) {
      const EvaluationWindows::Settings settings{.sequence_length = 10,
                                                 .stride = stride,
                                                 .batch_sequences = 4,
                                                 .max_tokens = limit,
                                                 .start = kStart};
      const Scores scores = score(stream, EvaluationWindows(stream, settings), settings);
      const auto wanted = static_cast<std::int64_t>(std::min<std::uint64_t>(limit, 1000));
      EXPECT_LE(scores.num_targets, wanted);
      EXPECT_GT(scores.num_targets, wanted - 10);
      EXPECT_TRUE(std::all_of(scores.times.begin(), scores.times.end(),
                              [](int times) { return times <= 1; }));
    }
  }
  const EvaluationWindows::Settings settings{.sequence_length = 10,
                                             .stride = 10,
                                             .batch_sequences = 4,
                                             .max_tokens = 100,
                                             .start = kStart};
  const Scores scores = score(stream, EvaluationWindows(stream, settings), settings);
  for (std::size_t tenth = 0; tenth < 10; ++tenth) {
    const auto begin = scores.times.begin() + static_cast<std::ptrdiff_t>(100 * tenth);
    EXPECT_EQ(std::accumulate(begin, begin + 100, 0), 10) << tenth;
  }
}

// Scored targets of each document. The token at position p is 100 + p, so the target determines its
// position.
std::vector<std::uint64_t> targets_of_documents(const EvaluationWindows& windows,
                                                const std::vector<std::uint64_t>& ends) {
  std::vector<std::uint64_t> num_targets(windows.num_documents());
  for (std::uint64_t index = 0; index < windows.num_batches(); ++index) {
    const Batch batch = windows.batch(index);
    const auto documents = windows.documents_of(index);
    EXPECT_EQ(documents.size(), batch.targets.size());
    for (std::size_t i = 0; i < documents.size(); ++i) {
      if (batch.targets[i] == kIgnoredTarget) {
        EXPECT_EQ(documents[i], kNoDocument);
        continue;
      }
      const auto position = static_cast<std::uint64_t>(batch.targets[i] - 100);
      EXPECT_EQ(documents[i], std::count_if(ends.begin(), ends.end(),
                                            [&](std::uint64_t end) { return end <= position; }));
      num_targets.at(documents[i]) += 1;
    }
  }
  EXPECT_EQ(std::accumulate(num_targets.begin(), num_targets.end(), std::uint64_t{0}),
            windows.num_targets());
  return num_targets;
}

TEST(EvaluationWindows, EachTargetBelongsToADocument) {
  // The third document is empty; a sixth has no end yet.
  const std::vector<std::uint64_t> ends{1, 9, 9, 40, 60};
  std::vector<std::int32_t> ids(64);
  std::iota(ids.begin(), ids.end(), 100);
  const TokenStream stream(ids, ends);
  ASSERT_EQ(stream.num_documents(), 6U);
  for (const std::int64_t stride : {1, 3, 8}) {
    for (const std::int32_t start : {-1, kStart}) {
      EvaluationWindows::Settings settings{.sequence_length = 8,
                                           .stride = stride,
                                           .batch_sequences = 3,
                                           .max_tokens = 0,
                                           .start = start};
      const EvaluationWindows windows(stream, settings);
      // The first token is a target only if a start token precedes it.
      const std::uint64_t first = start >= 0 ? 1 : 0;
      EXPECT_EQ(targets_of_documents(windows, ends),
                (std::vector<std::uint64_t>{first, 8, 0, 31, 20, 4}));
      EXPECT_EQ(windows.num_dropped_tokens(), 0U);
      settings.max_tokens = 20;
      targets_of_documents(EvaluationWindows(stream, settings), ends);
    }
  }
}

TEST(EvaluationWindows, AcceptsStreamsWithoutTargets) {
  const TokenStream empty = stream_from_100(0), one = stream_from_100(1);
  const EvaluationWindows::Settings settings{
      .sequence_length = 10, .stride = 10, .batch_sequences = 4, .max_tokens = 0, .start = -1};
  EXPECT_EQ(EvaluationWindows(empty, settings).num_batches(), 0U);
  EXPECT_EQ(EvaluationWindows(one, settings).num_targets(), 0U);
  auto with_start = settings;
  with_start.start = kStart;
  EXPECT_EQ(EvaluationWindows(empty, with_start).num_batches(), 0U);
  EXPECT_EQ(EvaluationWindows(one, with_start).num_targets(), 1U);
}

TEST(EvaluationWindows, RejectsInvalidArguments) {
  const TokenStream stream = stream_from_100(10);
  for (const std::int64_t stride : {0, 11}) {
    EXPECT_THROW(EvaluationWindows(stream, {.sequence_length = 10,
                                            .stride = stride,
                                            .batch_sequences = 1,
                                            .max_tokens = 0,
                                            .start = -1}),
                 InvariantError);
  }
  const EvaluationWindows windows(
      stream,
      {.sequence_length = 10, .stride = 10, .batch_sequences = 1, .max_tokens = 0, .start = -1});
  EXPECT_THROW(windows.batch(1), InvariantError);
}

}  // namespace
}  // namespace sluice::data
