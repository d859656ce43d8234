// The loop of generation, for texts that are continued and for blanks. Internal to eval.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "eval/generate.h"

namespace sluice::eval {

// A sequence that is written token by token.
class Writer {
 public:
  virtual ~Writer() = default;
  // For the encoder of an encoder-decoder; empty for a decoder.
  virtual std::span<const std::int32_t> encoder_ids() const { return {}; }
  // All ids that the (decoder) model has to read, longer after each add().
  virtual std::span<const std::int32_t> ids() const = 0;
  // Ids for the repetition penalty.
  virtual std::span<const std::int32_t> repeated() const { return ids(); }
  // Sets the logits of tokens that must not follow to −∞.
  virtual void restrict(std::vector<float>& /*logits*/) const {}
  // `log_probability`: 0 unless SamplingConfig::log_probabilities.
  virtual void add(std::int32_t token, double log_probability) = 0;
  virtual bool complete() const = 0;
  virtual void interrupt() = 0;  // called instead of further add() after a stop signal
  virtual std::uint64_t seed() const = 0;
};

struct WriteLimits {
  std::int64_t batch = 1;       // sequences written at a time
  std::int64_t max_length = 0;  // ids of a sequence that the model reads, the last ones
};
// Writes until all are complete. `on_done` receives the index of each complete or interrupted
// writer.
void write_all(const model::LanguageModel& model, std::span<Writer* const> writers,
               const SamplingConfig& config, const WriteLimits& limits,
               const std::function<void(std::size_t)>& on_done);

// The same; `on_done` receives the results in the order of the writers, which are destroyed then.
template <class W, class Result>
void write_in_order(const model::LanguageModel& model, std::vector<std::unique_ptr<W>>& writers,
                    const SamplingConfig& config, const WriteLimits& limits,
                    const std::function<void(std::size_t, const Result&)>& on_done) {
  std::vector<Writer*> all;
  for (const std::unique_ptr<W>& writer : writers) all.push_back(writer.get());
  std::vector<bool> done(writers.size());
  std::size_t next = 0;  // the first one that on_done() has not received
  write_all(model, all, config, limits, [&](std::size_t index) {
    done[index] = true;
    for (; next < done.size() && done[next]; ++next) {
      on_done(next, writers[next]->result());
      writers[next].reset();
    }
  });
}

}  // namespace sluice::eval
