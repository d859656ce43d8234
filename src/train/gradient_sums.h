// The gradient of a step as the sum over its slots, in the order of cluster/slots.h. Of several
// processes, each adds for the part of the arena that it updates (optim/shards.h).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
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
  // `begins`: of the parts, as in optim::Shards. With `exact` false, backward passes add to the
  // arena one after the other, and finish() adds those sums of all processes
  // (distributed.reduction: fast).
  explicit GradientSums(ops::Parameters& parameters, bool exact = true,
                        std::vector<std::int64_t> begins = {});

  // fp32 elements that this class allocates, at most, for `rank`.
  static std::int64_t num_elements(std::int64_t arena_elements, std::int64_t num_slots,
                                   int rank = 0, std::span<const std::int64_t> begins = {});

  // For a step of `num_slots`, of which this process computes `own`.
  void begin(std::int64_t num_slots, const cluster::SlotRange& own);
  // The arena's gradient, zero before the slot, is now that of the next own slot. Afterwards it is
  // zero again, or the sum of the last node if this was the last own slot.
  void finish_slot();
  // After all own slots: the own part of the arena's gradient becomes the sum over all slots; the
  // rest has no meaning. `group`: nullptr for one process.
  void finish(dist::Group* group);

 private:
  float* gradient() const;
  void reduce(dist::Group& group);

  ops::Parameters& parameters_;
  bool exact_;
  std::vector<std::int64_t> begins_;
  cluster::SlotRange own_;
  cluster::SlotSums sums_{1};
  std::int64_t num_slots_ = 1, next_ = 0;
  std::vector<at::Tensor> partial_;  // flat fp32; the first num_partial_ are in use
  std::size_t num_partial_ = 0;
  at::Tensor received_;
};

}  // namespace sluice::train
