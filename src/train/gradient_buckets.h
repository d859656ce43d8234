// The parts of the gradient that are sent while a backward pass runs (buckets: Li et al. 2020,
// "PyTorch Distributed", section 3.2.3).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ops/parameters.h"

namespace sluice::train {

class GradientBuckets {
 public:
  // One bucket of the whole arena.
  explicit GradientBuckets(std::int64_t arena_elements);
  // Sections in turn form a bucket when they have `min_elements` together; the last bucket is the
  // rest of the arena. `sections`: see LanguageModel::gradient_sections().
  GradientBuckets(std::int64_t arena_elements, std::span<const ops::ArenaRange> sections,
                  std::int64_t min_elements);

  std::size_t size() const { return buckets_.size(); }
  // Disjoint, in the order of the arena.
  std::span<const ops::ArenaRange> operator[](std::size_t bucket) const { return buckets_[bucket]; }

  // Before a backward pass, which calls mark() for each section whose gradient is final.
  void reset();
  void mark(const ops::ArenaRange& section);
  // Buckets 0 to num_final() - 1 have only such sections. Never the last one.
  std::size_t num_final() const;

 private:
  std::vector<std::vector<ops::ArenaRange>> buckets_;
  std::vector<ops::ArenaRange> sections_;
  std::vector<std::size_t> ends_;  // of each bucket but the last one, in sections_
  std::vector<bool> is_final_;     // by section
};

}  // namespace sluice::train
