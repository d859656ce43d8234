// Sources of batches: the interface of an objective to training and evaluation.
#pragma once

#include <cstdint>
#include <vector>

#include "data/batch.h"

namespace sluice::data {

// The batches of a run. Every objective cuts the training stream into non-overlapping windows and
// visits each once per epoch in a keyed order. A batch is a pure function of its step.
class TrainingBatches {
 public:
  virtual ~TrainingBatches() = default;
  virtual Batch batch(std::uint64_t step) const = 0;
  virtual std::uint64_t windows_per_epoch() const = 0;
  // Tokens at the end of the stream that do not fill a window.
  virtual std::uint64_t num_dropped_tokens() const = 0;
};

constexpr std::uint32_t kNoDocument = ~std::uint32_t{0};  // for targets that are not scored

// The held-out set. Each target is scored exactly once, independently of the run's seed and step.
class EvaluationBatches {
 public:
  virtual ~EvaluationBatches() = default;
  virtual std::uint64_t num_batches() const = 0;
  // The last batch may have fewer sequences. Unscored targets are kIgnoredTarget.
  virtual Batch batch(std::uint64_t index) const = 0;
  virtual std::uint64_t num_targets() const = 0;
  virtual bool is_whole() const = 0;  // not reduced by a token limit
  // Tokens at the end of the stream that are never scored, regardless of the limit.
  virtual std::uint64_t num_dropped_tokens() const = 0;
  // In the whole stream. With a token limit, some documents may have no target.
  virtual std::uint64_t num_documents() const = 0;
  // The document (index in the stream, from 0) of each target of the batch, in order.
  virtual std::vector<std::uint32_t> documents_of(std::uint64_t index) const = 0;
};

}  // namespace sluice::data
