// `train.micro_batch_sequences: auto` on a GPU: the largest micro-batch that fits into its memory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "ops/device_memory.h"
#include "train/resolve.h"

namespace sluice::run {

// ⌈batch / k⌉ for k = 1, 2, ..., in descending order, each once.
std::vector<std::int64_t> micro_batch_candidates(std::int64_t batch_sequences);

// The largest candidate for which `fits` is true. `is_expected(n, share)`: whether the estimate for
// n is at most that share of the available memory. The search begins at the largest that is
// expected with share 1, or at the smallest candidate; it goes down until one fits, or up, to those
// expected with share 1.25, until one does not. Nothing if none fits.
using MicroBatchTest = std::function<bool(std::int64_t)>;
using Expectation = std::function<bool(std::int64_t, double share)>;
std::optional<std::int64_t> largest_micro_batch(const std::vector<std::int64_t>& candidates,
                                                const Expectation& is_expected,
                                                const MicroBatchTest& fits);

// A run with another micro-batch.
train::ResolvedRun with_micro_batch(train::ResolvedRun run, std::int64_t sequences);

// The bytes that training needs by the estimates of `plan`, on a GPU without the driver's.
std::uint64_t estimated_bytes(const train::ResolvedRun& run, std::int64_t vocab_size);

// A GPU; tests replace it.
struct Card {
  std::string name;
  std::function<ops::DeviceMemory()> memory;
  std::function<bool(const train::ResolvedRun&)> fits;  // runs steps
  std::filesystem::path records;                        // directory of results
};
Card card_of(const std::string& device, std::int64_t vocab_size);

enum class Probe { kRun, kPredict };  // kPredict runs no steps

// `config` is resolved but for the micro-batch. Uses the result of an earlier search for the same
// card, LibTorch, program, model, optimizer and batch if what it needs is available now; otherwise
// searches (kRun) or returns what is expected to fit. A result is kept unless other processes used
// more than a twentieth of the card during the search. kIo if not even the smallest fits.
std::int64_t fit_micro_batch(const train::RunConfig& config, std::int64_t vocab_size,
                             const Card& card, Probe probe);

// For train::resolve: fit_micro_batch() on a GPU, train::choose_micro_batch() on a CPU.
train::MicroBatchRule micro_batch_rule(std::int64_t vocab_size, Probe probe);

}  // namespace sluice::run
