// The gradient of a step if parameters are sharded: the part of each section that a process updates
// becomes the sum over all slots, in the order of cluster/slots.h; the others do not keep it.
//
// Slots are computed in rounds, one per process: that with rank r computes slot first + r. So the
// owner of a part adds slots in turn, and has at most log2(slots) + 1 sums of its part.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "cluster/slots.h"
#include "dist/group.h"
#include "dist/transfer.h"
#include "ops/parameters.h"
#include "optim/shards.h"

namespace sluice::train {

class SectionGradients {
 public:
  // All borrowed; the parameters are allocated `on_demand`.
  SectionGradients(ops::Parameters& parameters, const optim::Shards& shards, dist::Group& group);

  // fp32 elements for shards.rank: of gradients, its own part and what it has of others at most,
  // and of what this class allocates.
  struct Sizes {
    std::int64_t gradients = 0, sums = 0;
  };
  static Sizes sizes_of(const ops::Parameters& parameters, const optim::Shards& shards,
                        std::span<const ops::ArenaRange> sections, std::int64_t num_slots);

  void begin(std::int64_t num_slots);
  // Slots `first` to first + group.size() - 1, or to the last one.
  void begin_round(std::int64_t first);
  bool has_slot() const { return group_.rank() < num_in_round_; }
  // The gradient of these ranges is that of this process's slot, or zero if it has none. Sends what
  // is not its own and adds what has come of the ranges before. All processes make the same
  // calls; together, those of a round cover the arena once.
  void exchange(std::vector<ops::ArenaRange> ranges);
  // Afterwards the gradient is zero, or after the last round, the own part the sum of the step.
  void finish_round();

 private:
  // From how many processes this one receives.
  std::int64_t num_received() const { return num_in_round_ - (has_slot() ? 1 : 0); }
  void finish_exchange();
  // `partial_at`, `received_at`: where the elements of `own` begin in partial_ and received_.
  void add(const ops::ArenaRange& own, std::int64_t partial_at, std::int64_t received_at);

  ops::Parameters& parameters_;
  const optim::Shards& shards_;
  dist::Group& group_;
  std::vector<ops::ArenaRange> own_;

  std::int64_t num_slots_ = 0, first_ = 0;
  int num_in_round_ = 0;
  cluster::SlotSums sums_{1};        // before the round
  std::vector<at::Tensor> partial_;  // flat fp32 of the own part: the open nodes of sums_

  std::vector<ops::ArenaRange> ranges_;  // of transfer_
  std::unique_ptr<dist::Transfer> transfer_;
  at::Tensor received_;  // own_ in ranges_, range after range; of each, rank after rank
};

}  // namespace sluice::train
