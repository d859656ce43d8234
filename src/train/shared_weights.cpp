#include "train/shared_weights.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <span>
#include <string>

#include "base/error.h"
#include "base/text_format.h"
#include "dist/transfer.h"
#include "train/sharding.h"

namespace sluice::train {
namespace {

using ops::ArenaRange;

// Elements. Larger tensors are sent from where they are.
constexpr std::int64_t kMostPacked = 1 << 14;

bool is_bf16(const ops::Parameters& parameters) {
  return parameters.compute().scalar_type() != at::kFloat;
}

at::Tensor view_of(const at::Tensor& flat, const ArenaRange& range) {
  return flat.narrow(0, range.begin, range.size());
}

Hash128 hash_of_ranges(const at::Tensor& flat, const std::vector<ArenaRange>& ranges) {
  Hasher hasher;
  for (const ArenaRange& range : ranges) {
    const at::Tensor part = view_of(flat, range).to(at::kCPU);  // no copy of host memory
    hasher.update(std::span(static_cast<const std::byte*>(part.const_data_ptr()), part.nbytes()));
  }
  return hasher.digest();
}

// A copy of each value follows the one before it.
template <class Body>
void for_each_copy(const std::vector<at::Tensor>& values, const at::Tensor& packed,
                   const Body& body) {
  std::int64_t at = 0;
  for (const at::Tensor& value : values) {
    body(value, packed.narrow(0, at, value.numel()));
    at += value.numel();
  }
}

}  // namespace

SharedWeights::SharedWeights(ops::Parameters& parameters, const optim::Shards& shards,
                             dist::Group* group)
    : parameters_(parameters), shards_(shards), group_(group) {
  if (group_ != nullptr) divide();
}

void SharedWeights::divide() {
  std::vector<ArenaRange> operands;  // not sent in fp32
  if (is_bf16(parameters_) || shards_.of_parameters) operands = operand_ranges(parameters_);
  const std::vector<ArenaRange> others = ops::rest_of(parameters_.arena_elements(), operands);
  const at::Tensor weights = parameters_.master().detach();
  std::int64_t num_packed = 0;
  for (int rank = 0; rank < group_->size(); ++rank) {
    Part& part = parts_.emplace_back();
    part.packed_begin = num_packed;
    const std::vector<ArenaRange>& own = shards_.of(rank);
    for (const ArenaRange& range : ops::common(own, others)) {
      const bool is_large = range.size() > kMostPacked;
      (is_large ? part.large : part.small).push_back(view_of(weights, range));
      if (!is_large) num_packed += range.size();
      part.fp32.push_back(range);
    }
    if (!shards_.of_parameters)
      for (const ArenaRange& range : ops::common(own, operands))
        part.large.push_back(view_of(parameters_.compute(), range));
    part.packed_end = num_packed;
  }
  packed_ = at::empty({num_packed}, at::kFloat);
}

at::Tensor SharedWeights::packed_of(const Part& part) const {
  return packed_.narrow(0, part.packed_begin, part.packed_end - part.packed_begin);
}

Hash128 SharedWeights::hash_of_part(const at::Tensor& flat, int rank) const {
  if (!shards_.of_parameters || rank == group_->rank())
    return hash_of_ranges(flat, shards_.of(rank));
  return hash_of_ranges(flat, parts_[static_cast<std::size_t>(rank)].fp32);
}

Hash128 SharedWeights::hash() const {
  if (!shards_.of_parameters) return hash_of_ranges(parameters_.master(), parameters_.whole());
  std::vector<ArenaRange> all;
  for (const Part& part : parts_) all.insert(all.end(), part.fp32.begin(), part.fp32.end());
  return hash_of_ranges(parameters_.master(), all);
}

std::array<Hash128, 2> SharedWeights::hashes_of_part(int rank) const {
  const Hash128 weights = hash_of_part(parameters_.master(), rank);
  return {weights, is_bf16(parameters_) ? hash_of_part(parameters_.compute(), rank) : weights};
}

void SharedWeights::check() {
  for (std::size_t rank = 0; rank < hashes_.size(); ++rank)
    is_intact_ = is_intact_ && hashes_[rank] == hashes_of_part(static_cast<int>(rank));
}

void require_intact(const dist::Group& group, const std::vector<bool>& is_intact) {
  std::string damaged;
  for (int rank = 0; rank < group.size(); ++rank)
    if (!is_intact[static_cast<std::size_t>(rank)])
      damaged += cat(damaged.empty() ? "" : ", ", group.describe(rank));
  require(damaged.empty(), ExitCode::kPeerLost, "weights",
          cat("changed in the memory of ", damaged, " since its last update"), "the same");
}

void SharedWeights::gather() {
  if (group_ == nullptr) return;
  const at::NoGradGuard no_grad;
  const auto part_of = [&](int rank) -> const Part& {
    return parts_[static_cast<std::size_t>(rank)];
  };
  const int own = group_->rank();
  hashes_.resize(static_cast<std::size_t>(group_->size()));
  // Before it is sent: what changes meanwhile is not the result of the update.
  hashes_[static_cast<std::size_t>(own)] = hashes_of_part(own);
  for_each_copy(part_of(own).small, packed_of(part_of(own)),
                [](const at::Tensor& value, const at::Tensor& copy) { copy.copy_(value); });
  dist::Transfer transfer(*group_);
  for (int rank = 0; rank < group_->size(); ++rank) {
    if (rank == own) continue;
    for (const at::Tensor& tensor : part_of(rank).large) transfer.receive({rank, tensor});
    for (const at::Tensor& tensor : part_of(own).large) transfer.send({rank, tensor});
    if (!part_of(rank).small.empty()) transfer.receive({rank, packed_of(part_of(rank))});
    if (!part_of(own).small.empty()) transfer.send({rank, packed_of(part_of(own))});
  }
  transfer.finish();
  for (int rank = 0; rank < group_->size(); ++rank) {
    if (rank == own) continue;
    for_each_copy(part_of(rank).small, packed_of(part_of(rank)),
                  [](const at::Tensor& value, const at::Tensor& copy) { value.copy_(copy); });
    if (is_bf16(parameters_)) parameters_.refresh_compute(part_of(rank).fp32);
    hashes_[static_cast<std::size_t>(rank)] = hashes_of_part(rank);
  }
  is_complete_ = !is_bf16(parameters_);
}

void SharedWeights::complete() {
  if (is_complete_ || shards_.of_parameters) return;
  const at::NoGradGuard no_grad;
  check();
  group_->gather(parameters_.master().detach(), shards_.begins());
  for (int rank = 0; rank < group_->size(); ++rank)
    if (rank != group_->rank())
      hashes_[static_cast<std::size_t>(rank)][0] = hash_of_part(parameters_.master(), rank);
  is_complete_ = true;
}

void SharedWeights::forget() {
  hashes_.clear();
  is_complete_ = true;
}

}  // namespace sluice::train
