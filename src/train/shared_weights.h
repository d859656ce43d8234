// The weights of the processes of a run: each updates its part (optim/shards.h) and receives the
// others.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <functional>
#include <vector>

#include "base/hash.h"
#include "dist/group.h"
#include "ops/parameters.h"
#include "optim/shards.h"

namespace sluice::train {

class SharedWeights {
 public:
  // All borrowed. `group` may be nullptr: one process, and nothing to do.
  SharedWeights(ops::Parameters& parameters, const optim::Shards& shards, dist::Group* group);

  // Just before an update: notes whether all weights are as updated and received. What faulty
  // memory has changed since then would reach the others with the gradient, or with the own part;
  // as all weights are equal again after that, no comparison would show it.
  void check();
  // False from the first check() that found a change.
  bool is_intact() const { return is_intact_; }
  // After an update.
  void gather();
  // After other changes of the weights, which are the same in all processes.
  void forget() { hashes_.clear(); }

 private:
  at::Tensor part_of(const at::Tensor& flat, int rank) const;
  // Of the weights and the compute copy of a rank's part.
  std::array<Hash128, 2> hash_of_part(int rank) const;

  ops::Parameters& parameters_;
  const optim::Shards& shards_;
  dist::Group* group_;
  bool is_intact_ = true;
  std::vector<std::array<Hash128, 2>> hashes_;  // by rank; empty before the first update
};

// In all processes: kPeerLost naming those that do not say that their weights are intact.
void require_intact(const dist::Group& group, const std::function<bool(int rank)>& is_intact);

}  // namespace sluice::train
