#include "eval/writer.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "base/random.h"
#include "base/signals.h"
#include "eval/sampling.h"

namespace sluice::eval {
namespace {

// A place in the batch.
struct Slot {
  Writer* writer = nullptr;
  std::size_t index = 0;    // of the writer
  std::uint64_t key = 0;    // of its random numbers
  std::uint64_t drawn = 0;  // random numbers used
  bool started = false;
};

class Batch {
 public:
  Batch(const model::LanguageModel& model, std::span<Writer* const> writers,
        const SamplingConfig& config, const WriteLimits& limits)
      : writers_(writers),
        config_(config),
        max_length_(limits.max_length),
        slots_(std::min(static_cast<std::size_t>(limits.batch), writers.size())) {
    invariant(limits.batch > 0 && limits.max_length > 0, "a batch has room for a token");
    if (!slots_.empty())
      decoding_ = model.make_decoding(static_cast<std::int64_t>(slots_.size()), max_length_);
  }

  void run(const std::function<void(std::size_t)>& on_done) {
    while (true) {
      for (Slot& slot : slots_) refill(slot, on_done);
      if (config_.may_stop && stop_requested()) break;
      if (!step()) return;
    }
    for (Slot& slot : slots_)
      if (slot.writer != nullptr) interrupt(slot.index, on_done);
    while (next_ < writers_.size()) interrupt(next_++, on_done);
  }

 private:
  void interrupt(std::size_t index, const std::function<void(std::size_t)>& on_done) {
    writers_[index]->interrupt();
    on_done(index);
  }

  // Takes the next incomplete writer if the slot has none, or a complete one.
  void refill(Slot& slot, const std::function<void(std::size_t)>& on_done) {
    while (slot.writer == nullptr || slot.writer->complete()) {
      if (slot.writer != nullptr) on_done(slot.index);
      slot = {};
      if (next_ == writers_.size()) return;
      slot.index = next_++;
      slot.writer = writers_[slot.index];
      slot.key = random_key(slot.writer->seed(), "sample");
    }
  }

  // The ids that the slot has to read. Starts its sequence if it is new or has dropped ids.
  std::span<const std::int32_t> next_ids(std::int64_t place, Slot& slot) {
    const std::span<const std::int32_t> ids = slot.writer->ids();
    const auto length = static_cast<std::int64_t>(ids.size());
    if (slot.started && length <= max_length_)
      return ids.subspan(static_cast<std::size_t>(decoding_->length(place)));
    decoding_->start(place, slot.writer->encoder_ids());
    slot.started = true;
    return ids.last(static_cast<std::size_t>(std::min(length, max_length_)));
  }

  // Adds a token to each writer. False if there is none.
  bool step() {
    std::vector<model::Feed> feeds;
    std::vector<Slot*> read;
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      if (slots_[i].writer == nullptr) continue;
      const auto place = static_cast<std::int64_t>(i);
      feeds.push_back({place, next_ids(place, slots_[i])});
      read.push_back(&slots_[i]);
    }
    if (feeds.empty()) return false;
    const at::Tensor logits = decoding_->append(feeds);
    const auto* row = static_cast<const float*>(logits.const_data_ptr());
    for (Slot* slot : read) {
      const std::span<const float> all(row, static_cast<std::size_t>(logits.size(1)));
      std::vector<float> allowed(all.begin(), all.end());
      penalize(allowed, slot->writer->repeated(), config_.repetition_penalty);
      slot->writer->restrict(allowed);
      const std::int64_t token =
          choose_token(std::move(allowed), config_, random_uniform(slot->key, slot->drawn++));
      slot->writer->add(static_cast<std::int32_t>(token),
                        config_.log_probabilities ? log_probability(all, token) : 0);
      row += logits.size(1);
    }
    return true;
  }

  std::span<Writer* const> writers_;
  const SamplingConfig& config_;
  std::int64_t max_length_;
  std::vector<Slot> slots_;
  std::unique_ptr<model::Decoding> decoding_;
  std::size_t next_ = 0;  // first writer without a slot
};

}  // namespace

void write_all(const model::LanguageModel& model, std::span<Writer* const> writers,
               const SamplingConfig& config, const WriteLimits& limits,
               const std::function<void(std::size_t)>& on_done) {
  const at::NoGradGuard no_grad;
  Batch(model, writers, config, limits).run(on_done);
}

}  // namespace sluice::eval
