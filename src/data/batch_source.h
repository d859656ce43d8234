// Where batches come from: what training and evaluation know of an objective.
#pragma once

#include <cstdint>
#include <vector>

#include "data/batch.h"

namespace sluice::data {

// The batches of a run. Every objective cuts the training stream into windows that do not overlap, visits each once per epoch in a
// keyed order, and makes a batch a pure function of its step.
class TrainingBatches {
 public:
  virtual ~TrainingBatches() = default;
  virtual Batch batch(std::uint64_t step) const = 0;
  virtual std::uint64_t windows_per_epoch() const = 0;
  virtual std::uint64_t num_dropped_tokens() const = 0;  // the tail of the stream that fills no window
};

constexpr std::uint32_t kNoDocument = ~std::uint32_t{0};  // of a target that is not scored

// The held-out set, each of its targets scored exactly once. Neither the run's seed nor its step touch it.
class EvaluationBatches {
 public:
  virtual ~EvaluationBatches() = default;
  virtual std::uint64_t num_batches() const = 0;
  virtual Batch batch(std::uint64_t index) const = 0;  // the last may have fewer sequences; unscored targets are kIgnoredTarget
  virtual std::uint64_t num_targets() const = 0;
  virtual bool is_whole() const = 0;                     // no limit on tokens leaves anything out
  virtual std::uint64_t num_dropped_tokens() const = 0;  // the tail of the stream that is never scored, whatever the limit
  // Of the whole stream. A limit on tokens may leave some of them without a target.
  virtual std::uint64_t num_documents() const = 0;
  // For each of the batch's targets, in their order, the document of the stream (from 0) that it belongs to.
  virtual std::vector<std::uint32_t> documents_of(std::uint64_t index) const = 0;
};

}  // namespace sluice::data
