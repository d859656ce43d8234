// The gradient of a step as the sum over its slots, in the order of cluster/slots.h.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "cluster/slots.h"
#include "ops/parameters.h"

namespace sluice::dist {
class Group;
}

namespace sluice::train {

// Holds the sums that cannot be added yet: at most log2(slots) + 1 buffers of the arena's size, and
// none for one slot.
class GradientSums {
 public:
  // With `exact` false, backward passes add to the arena one after the other, and finish() adds
  // those sums of all processes (distributed.reduction: fast).
  explicit GradientSums(ops::Parameters& parameters, bool exact = true);

  // For a step of `num_slots`, of which this process computes `own`.
  void begin(std::int64_t num_slots, const cluster::SlotRange& own);
  // The arena's gradient, zero before the slot, is now that of the next own slot. Afterwards it is
  // zero again, or the sum of the last node if this was the last own slot.
  void finish_slot();
  // After all own slots: the arena's gradient becomes the sum over all slots, in every process.
  // `group`: nullptr for one process.
  void finish(dist::Group* group);

  // Elements of the arena that `rank` adds for all: equal parts, cut at multiples of 16.
  static std::int64_t part_begin(int rank, int num_ranks, std::int64_t num_elements);

 private:
  float* gradient() const;
  void reduce(dist::Group& group);
  void spread(dist::Group& group);

  ops::Parameters& parameters_;
  bool exact_;
  cluster::SlotRange own_;
  cluster::SlotSums sums_{1};
  std::int64_t num_slots_ = 1, next_ = 0;
  std::vector<at::Tensor> partial_;  // flat fp32; the first num_partial_ are in use
  std::size_t num_partial_ = 0;
  at::Tensor received_;
};

}  // namespace sluice::train
