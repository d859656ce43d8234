// The weights of the processes of a run: each updates its part (optim/shards.h) and receives the
// others.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
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

  // Just before an update, and inside a save: notes whether all weights are as updated and
  // received. What faulty memory has changed since then would reach the others with the gradient,
  // or with the own part; as all weights are equal again after that, no comparison would show it.
  void check();
  // False from the first check() that found a change.
  bool is_intact() const { return is_intact_; }
  // After an update: what forward and backward passes read. In bf16, of ParameterSpec::is_operand,
  // that is the compute copy only; nothing of these if parameters are sharded (section_weights.h).
  void gather();
  // All weights in fp32, for whatever else reads them, after a check(). Not of sharded parameters.
  void complete();
  // Of all weights, after complete(); of those that are not sharded.
  Hash128 hash() const;
  // After other changes of the weights, which are the same in all processes.
  void forget();

 private:
  // What a process sends of its part, as views of the weights and of the compute copy.
  struct Part {
    std::vector<at::Tensor> large, small;  // small ones together, in packed_
    std::int64_t packed_begin = 0, packed_end = 0;
    std::vector<ops::ArenaRange> fp32;  // sent in fp32; the compute copy is rounded from them
  };
  void divide();
  at::Tensor packed_of(const Part& part) const;
  Hash128 hash_of_part(const at::Tensor& flat, int rank) const;  // of what is in this process
  // Of the weights and the compute copy of a rank's part.
  std::array<Hash128, 2> hashes_of_part(int rank) const;

  ops::Parameters& parameters_;
  const optim::Shards& shards_;
  dist::Group* group_;
  bool is_intact_ = true, is_complete_ = true;
  std::vector<std::array<Hash128, 2>> hashes_;  // by rank; empty before the first update
  std::vector<Part> parts_;                     // by rank
  at::Tensor packed_;
};

// In all processes: kPeerLost naming those that do not say that their weights are intact.
void require_intact(const dist::Group& group, const std::vector<bool>& is_intact);  // by rank

}  // namespace sluice::train
