// The gradient of a step as the sum over its slots, in the order of cluster/slots.h. Of several
// processes, each adds for the part of the arena that it updates (optim/shards.h). Sums leave while
// the backward pass of the last own slot runs, as soon as it has completed a bucket of them.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "cluster/slots.h"
#include "ops/context.h"
#include "ops/parameters.h"
#include "train/gradient_buckets.h"

namespace sluice::dist {
class Group;
class Transfer;
}  // namespace sluice::dist

namespace sluice::train {

struct GradientSumsConfig {
  // False: backward passes add to the arena one after the other, and those sums of all processes
  // are added (distributed.reduction: fast).
  bool exact = true;
  dist::Group* group = nullptr;        // the other processes; borrowed
  std::vector<std::int64_t> begins{};  // with a group: of their parts, as in optim::Shards
  // See GradientBuckets.
  std::vector<ops::ArenaRange> sections{};
  std::int64_t bucket_elements = 0;
};

// Holds the sums that cannot be added yet: at most log2(slots) + 1 buffers of the arena's size, and
// none for one slot.
class GradientSums {
 public:
  explicit GradientSums(ops::Parameters& parameters, GradientSumsConfig config = {});
  ~GradientSums();

  // fp32 elements that this class allocates, at most, for `rank`.
  static std::int64_t num_elements(std::int64_t arena_elements, std::int64_t num_slots,
                                   int rank = 0, std::span<const std::int64_t> begins = {});

  // For a step of `num_slots`, of which this process computes `own`.
  void begin(std::int64_t num_slots, const cluster::SlotRange& own);
  // Before the next own slot, when the arena's gradient is zero. For its forward pass: what to tell
  // of final gradients (ops::Context); nullptr: nothing.
  const ops::OnSection* begin_slot();
  // The arena's gradient is that of the slot. Afterwards it is zero again, or the sum of the last
  // node if this was the last own slot.
  void finish_slot();
  // After all own slots: the own part of the arena's gradient becomes the sum over all slots, the
  // rest zero.
  void finish();

 private:
  float* gradient() const;
  at::Tensor part_of(const at::Tensor& flat, const ops::ArenaRange& range, int rank) const;
  std::vector<cluster::SlotRange> nodes_of(int rank) const;
  void begin_transfer();
  void receive();
  void finish_buckets(std::size_t end);
  void add_partial(const ops::ArenaRange& range);
  void send(const ops::ArenaRange& range);
  void add_nodes();
  void clear_others();

  ops::Parameters& parameters_;
  GradientSumsConfig config_;
  GradientBuckets buckets_;
  ops::OnSection on_final_;

  std::int64_t num_slots_ = 1, next_ = 0;
  cluster::SlotRange own_;
  cluster::SlotSums sums_{1};
  std::vector<at::Tensor> partial_;  // flat fp32; the first num_partial_ are in use
  std::size_t num_partial_ = 0;
  std::size_t num_merges_ = 0;  // partial sums that belong to the node of the slot

  std::unique_ptr<dist::Transfer> transfer_;  // from the start of the last own slot
  std::size_t next_bucket_ = 0;
  at::Tensor received_;  // of the own part, node after node of the other ranks
};

}  // namespace sluice::train
