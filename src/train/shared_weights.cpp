#include "train/shared_weights.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/text_format.h"

namespace sluice::train {

SharedWeights::SharedWeights(ops::Parameters& parameters, const optim::Shards& shards,
                             dist::Group* group)
    : parameters_(parameters), shards_(shards), group_(group) {}

at::Tensor SharedWeights::part_of(const at::Tensor& flat, int rank) const {
  const auto r = static_cast<std::size_t>(rank);
  return flat.narrow(0, shards_.begins[r], shards_.begins[r + 1] - shards_.begins[r]);
}

std::array<Hash128, 2> SharedWeights::hash_of_part(int rank) const {
  const auto hash = [&](const at::Tensor& flat) {
    const at::Tensor part = part_of(flat, rank);
    return hash_of(std::span(static_cast<const std::byte*>(part.const_data_ptr()), part.nbytes()));
  };
  const Hash128 weights = hash(parameters_.master());
  const bool has_copy = parameters_.compute().scalar_type() != at::kFloat;
  return {weights, has_copy ? hash(parameters_.compute()) : weights};
}

void SharedWeights::check() {
  for (std::size_t rank = 0; rank < hashes_.size(); ++rank)
    is_intact_ = is_intact_ && hashes_[rank] == hash_of_part(static_cast<int>(rank));
}

void require_intact(const dist::Group& group, const std::function<bool(int rank)>& is_intact) {
  std::string damaged;
  for (int rank = 0; rank < group.size(); ++rank)
    if (!is_intact(rank)) damaged += cat(damaged.empty() ? "" : ", ", group.describe(rank));
  require(damaged.empty(), ExitCode::kPeerLost, "weights",
          cat("changed in the memory of ", damaged, " since its last update"), "the same");
}

void SharedWeights::gather() {
  if (group_ == nullptr) return;
  const at::NoGradGuard no_grad;
  const at::Tensor weights = parameters_.master().detach();
  hashes_.resize(static_cast<std::size_t>(group_->size()));
  // Before it is sent: what changes meanwhile is not the result of the update.
  hashes_[static_cast<std::size_t>(group_->rank())] = hash_of_part(group_->rank());
  group_->gather(weights, shards_.begins);
  for (int rank = 0; rank < group_->size(); ++rank) {
    if (rank == group_->rank()) continue;
    if (parameters_.compute().scalar_type() != at::kFloat)
      part_of(parameters_.compute(), rank).copy_(part_of(weights, rank));
    hashes_[static_cast<std::size_t>(rank)] = hash_of_part(rank);
  }
}

}  // namespace sluice::train
