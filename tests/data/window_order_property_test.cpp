// For any number of windows, seed, batch size and sequence length: an epoch is a permutation, and a
// batch is a function of (data, seed, step).
#include <algorithm>
#include <numeric>
#include <vector>

#include "data/causal_batches.h"
#include "data/window_order.h"
#include "tests/base/property.h"
#include "tests/data/span_support.h"

namespace sluice::data {
namespace {

using sluice::testing::check_property;
using sluice::testing::counting_stream;

std::vector<std::uint64_t> up_to(std::uint64_t count) {
  std::vector<std::uint64_t> all(count);
  std::iota(all.begin(), all.end(), 0);
  return all;
}

TEST(WindowOrderProperty, KeyedPermutationIsAPermutation) {
  check_property(100, [] {
    const auto size = *rc::gen::inRange<std::uint64_t>(1, 5000);
    const KeyedPermutation permutation(size, *rc::gen::arbitrary<std::uint64_t>());
    std::vector<std::uint64_t> places;
    for (std::uint64_t i = 0; i < size; ++i) places.push_back(permutation(i));
    std::sort(places.begin(), places.end());
    RC_ASSERT(places == up_to(size));
  });
}

TEST(WindowOrderProperty, EachWindowOncePerEpochAndEpochsDiffer) {
  check_property(100, [] {
    const auto seed = *rc::gen::arbitrary<std::uint64_t>();
    const auto size = *rc::gen::inRange<std::uint64_t>(1, 600);
    const auto epoch = *rc::gen::inRange<std::uint64_t>(0, 1'000'000);
    const auto order_of = [&](std::uint64_t some_seed, std::uint64_t some_epoch) {
      std::vector<std::uint64_t> windows;
      for (std::uint64_t i = 0; i < size; ++i)
        windows.push_back(window_in_order(some_seed, size, some_epoch * size + i));
      return windows;
    };
    std::vector<std::uint64_t> order = order_of(seed, epoch);
    // 12 windows have 479 million orders.
    if (size >= 12)
      RC_ASSERT(order != order_of(seed, epoch + 1) && order != order_of(seed + 1, epoch));
    std::sort(order.begin(), order.end());
    RC_ASSERT(order == up_to(size));
  });
}

TEST(WindowOrderProperty, BatchDependsOnlyOnDataSeedAndStep) {
  check_property(60, [] {
    const auto length = *rc::gen::inRange<std::int64_t>(2, 40);
    const auto num_windows = *rc::gen::inRange<std::uint64_t>(1, 60);
    const auto tail = *rc::gen::inRange<std::int64_t>(1, length + 1);
    const CausalBatches::Settings settings{
        .seed = *rc::gen::arbitrary<std::uint64_t>(),
        .batch_sequences = *rc::gen::inRange<std::int64_t>(1, 30),
        .sequence_length = length};
    const TokenStream stream = counting_stream(num_windows * static_cast<std::uint64_t>(length) +
                                               static_cast<std::uint64_t>(tail));
    const CausalBatches forwards(stream, settings), backwards(stream, settings);
    RC_ASSERT(forwards.windows_per_epoch() == num_windows);
    // Two epochs.
    const auto num_steps =
        2 * num_windows / static_cast<std::uint64_t>(settings.batch_sequences) + 1;
    std::vector<Batch> batches;
    std::vector<std::uint64_t> visited;
    for (std::uint64_t step = 0; step < num_steps; ++step) {
      batches.push_back(forwards.batch(step));
      for (std::int64_t row = 0; row < settings.batch_sequences; ++row) {
        const auto begin = static_cast<std::size_t>(row * length);
        const std::uint64_t window = forwards.window_at(step, row);
        visited.push_back(window);
        for (std::size_t t = 0; t < static_cast<std::size_t>(length); ++t) {
          const auto token =
              static_cast<std::int32_t>(window * static_cast<std::uint64_t>(length) + t) + 1;
          RC_ASSERT(batches.back().inputs[begin + t] == token);
          RC_ASSERT(batches.back().targets[begin + t] == token + 1);
        }
      }
    }
    for (std::uint64_t step = num_steps; step-- > 0;) {
      const Batch again = backwards.batch(step);
      RC_ASSERT(again.inputs == batches[step].inputs && again.targets == batches[step].targets);
    }
    if (visited.size() >= num_windows) {
      std::sort(visited.begin(), visited.begin() + static_cast<std::ptrdiff_t>(num_windows));
      visited.resize(num_windows);
      RC_ASSERT(visited == up_to(num_windows));
    }
    // Micro-batches of any size hold the same rows in the same order.
    std::vector<std::int32_t> inputs, targets;
    for (const Batch& part :
         batches[0].split(*rc::gen::inRange<std::int64_t>(1, settings.batch_sequences + 1))) {
      inputs.insert(inputs.end(), part.inputs.begin(), part.inputs.end());
      targets.insert(targets.end(), part.targets.begin(), part.targets.end());
    }
    RC_ASSERT(inputs == batches[0].inputs && targets == batches[0].targets);
  });
}

}  // namespace
}  // namespace sluice::data
