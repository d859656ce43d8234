// The passes of a step if parameters are sharded: weights come and gradients leave section by
// section.
#pragma once

#include <cstdint>
#include <vector>

#include "ops/context.h"
#include "train/section_gradients.h"
#include "train/section_weights.h"

namespace sluice::train {

class ShardedPasses {
 public:
  // All borrowed.
  ShardedPasses(ops::Parameters& parameters, const optim::Shards& shards, dist::Group& group,
                SectionWeights& weights);

  void begin(std::int64_t num_slots);
  // See SectionGradients. Returns whether this process has a slot, `first` + its rank.
  bool begin_round(std::int64_t first);
  // For the forward and backward pass of the slot.
  void listen(ops::Context& context);
  // `computed`: this process has made the passes; otherwise it now takes part in those of the
  // others. After the last round, the own part of the arena's gradient is the sum over all slots,
  // the rest zero.
  void finish_round(bool computed);
  // The forward passes that follow have no backward pass.
  void finish();

 private:
  void on_final(std::size_t forward_index);

  SectionWeights& weights_;
  SectionGradients gradients_;
  std::vector<ops::ArenaRange> rest_;  // in no section
  ops::OnSection on_final_;
};

}  // namespace sluice::train
