#include "run/fit_micro_batch.h"

#include <algorithm>
#include <charconv>
#include <type_traits>
#include <variant>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/text_format.h"
#include "base/version.h"
#include "config/config.h"
#include "gpu/kernel_cache.h"
#include "ops/cuda.h"
#include "ops/torch_compat.h"
#include "run/memory.h"
#include "run/trial.h"
#include "train/batches.h"
#include "train/execution.h"

namespace sluice::run {
namespace {

namespace fs = std::filesystem;
using train::ResolvedRun;
using train::RunConfig;

constexpr std::string_view kKey = "train.micro_batch_sequences";

// Everything that the result depends on. The learning rate, which a comparison may tune, is not.
std::string key_of(const RunConfig& config, std::int64_t vocab_size, const Card& card,
                   std::uint64_t total_bytes) {
  RunConfig only;
  only.model = config.model;
  only.objective = config.objective;
  only.optimizer = config.optimizer;
  std::visit([](auto& c) { c.lr = std::remove_cvref_t<decltype(c)>{}.lr; }, only.optimizer);
  only.train.batch_sequences = config.train.batch_sequences;
  only.train.sequence_length = config.train.sequence_length;
  only.train.precision = config.train.precision;
  only.train.reductions = config.train.reductions;
  only.train.z_loss = config.train.z_loss;
  // An evaluation needs memory.
  if (config.evaluate.every_steps.is_word()) only.evaluate.every_steps = {};
  return cat("card: ", card.name, ", ", total_bytes, " bytes\nlibtorch: ", ops::torch_version(),
             "\nsluice: ", version(), " ", git_revision(), "\nvocabulary: ", vocab_size, "\n",
             config::to_yaml(only, config::Comments::kNone));
}

// One result: the number on the first line, then its key.
class Record {
 public:
  Record(const fs::path& directory, std::string key)
      : path_(directory / (hash_of(key).hex() + ".txt")), key_(std::move(key)) {}

  // Nothing if there is none; a damaged file counts as none.
  std::optional<std::int64_t> read() const {
    try {
      if (!fs::exists(path_)) return std::nullopt;
      const std::string text = read_file(path_);
      std::int64_t value = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
      if (error == std::errc() && value > 0 && text == content(value)) return value;
    } catch (const std::exception&) {  // unreadable: search again
    }
    return std::nullopt;
  }
  void write(std::int64_t value) const {
    try {
      real_files().create_directories(path_.parent_path());
      real_files().write_atomically(path_, content(value));
    } catch (const std::exception& error) {
      log::warn(cat(path_.string(), ": cannot keep ", kKey, " (", error.what(),
                    "); each start searches again"));
    }
  }

 private:
  std::string content(std::int64_t value) const { return cat(value, "\n", key_); }
  fs::path path_;
  std::string key_;
};

[[noreturn]] void fail_nothing_fits(const ops::DeviceMemory& memory, std::int64_t smallest) {
  fail(ExitCode::kIo, kKey,
       cat("auto, and a micro-batch of ", smallest, " does not fit into GPU memory (",
           human_bytes(memory.free_bytes), " of ", human_bytes(memory.total_bytes), " free)"),
       "a smaller model, shorter sequences, or a GPU with more memory");
}

// Estimates up to this share of the real need are searched.
constexpr double kOverestimate = 1.25;

}  // namespace

std::vector<std::int64_t> micro_batch_candidates(std::int64_t batch_sequences) {
  std::vector<std::int64_t> sizes;
  for (std::int64_t size = batch_sequences; size > 0;) {
    sizes.push_back(size);
    if (size == 1) break;
    // The fewest micro-batches that are smaller than this one.
    const std::int64_t num_passes = (batch_sequences + size - 2) / (size - 1);
    size = (batch_sequences + num_passes - 1) / num_passes;
  }
  return sizes;
}

std::optional<std::int64_t> largest_micro_batch(const std::vector<std::int64_t>& candidates,
                                                const Expectation& is_expected,
                                                const MicroBatchTest& fits) {
  const auto first = [&](double share) {
    return std::find_if(candidates.begin(), candidates.end(),
                        [&](std::int64_t n) { return is_expected(n, share); });
  };
  const auto largest = first(kOverestimate);
  auto size = first(1);
  if (size == candidates.end()) --size;
  if (!fits(*size)) {
    size = std::find_if(std::next(size), candidates.end(), fits);
    return size != candidates.end() ? std::optional(*size) : std::nullopt;
  }
  // The estimate may be too high: larger ones that it nearly allows.
  while (size > largest && fits(*std::prev(size))) --size;
  return *size;
}

ResolvedRun with_micro_batch(ResolvedRun run, std::int64_t sequences) {
  run.config.train.micro_batch_sequences = sequences;
  run.micro_batch_sequences = sequences;
  return run;
}

std::uint64_t estimated_bytes(const ResolvedRun& run, std::int64_t vocab_size) {
  const MemoryEstimate memory = estimate_memory(run, vocab_size);
  return run.device == "cpu" ? sum_of(memory.process) : sum_of(memory.gpu) - gpu_context_bytes();
}

Card card_of(const std::string& device, std::int64_t vocab_size) {
  const c10::Device place = train::device_of(device);
  return {
      .name = ops::gpu_support(place).card->name,
      .memory = [place] { return ops::memory_of(place); },
      .fits = [vocab_size](const ResolvedRun& run) { return fits(run, vocab_size, place_of(run)); },
      .records = gpu::default_cache_directory().parent_path() / "micro_batches"};
}

std::int64_t fit_micro_batch(const RunConfig& config, std::int64_t vocab_size, const Card& card,
                             Probe probe) {
  const std::vector<std::int64_t> candidates = micro_batch_candidates(config.train.batch_sequences);
  const ResolvedRun run = [&] {
    RunConfig complete = config;
    complete.train.micro_batch_sequences = candidates.front();
    return train::read_resolved(std::move(complete));
  }();
  const ops::DeviceMemory memory = card.memory();
  const Expectation is_expected = [&](std::int64_t sequences, double share) {
    const std::uint64_t bytes = estimated_bytes(with_micro_batch(run, sequences), vocab_size);
    return static_cast<double>(bytes) <= share * static_cast<double>(memory.available_bytes());
  };
  const auto is_candidate = [&](std::int64_t sequences) {
    return std::find(candidates.begin(), candidates.end(), sequences) != candidates.end();
  };
  const Record record(card.records, key_of(config, vocab_size, card, memory.total_bytes));
  if (const std::optional<std::int64_t> known = record.read();
      known && is_candidate(*known) && is_expected(*known, kOverestimate))
    return *known;
  const MicroBatchTest fits = [&](std::int64_t sequences) {
    return card.fits(with_micro_batch(run, sequences));
  };
  if (probe == Probe::kPredict) {
    for (const std::int64_t sequences : candidates)
      if (is_expected(sequences, 1)) return sequences;
    return candidates.back();
  }
  const std::optional<std::int64_t> found = largest_micro_batch(candidates, is_expected, fits);
  if (!found) fail_nothing_fits(memory, candidates.back());
  log::info(cat(kKey, ": auto is ", *found, ", the largest that fits on ", card.name));
  const std::uint64_t used_by_others = memory.total_bytes - memory.available_bytes();
  if (used_by_others <= gpu_context_bytes() + memory.total_bytes / 20) record.write(*found);
  return *found;
}

train::MicroBatchRule micro_batch_rule(std::int64_t vocab_size, Probe probe) {
  return [=](const RunConfig& config) {
    if (*config.train.device == "cpu")
      return train::choose_micro_batch(config.train.batch_sequences,
                                       train::sequence_shape(config).work());
    return fit_micro_batch(config, vocab_size, card_of(*config.train.device, vocab_size), probe);
  };
}

}  // namespace sluice::run
