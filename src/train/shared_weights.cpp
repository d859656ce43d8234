#include "train/shared_weights.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/text_format.h"
#include "dist/transfer.h"
#include "optim/muon.h"

namespace sluice::train {

namespace {

// Larger parts of the weights are sent from where they are.
constexpr std::int64_t kMostPacked = 1 << 14;

bool is_bf16(const ops::Parameters& parameters) {
  return parameters.compute().scalar_type() != at::kFloat;
}

// What passes read in fp32 although there is a compute copy: neighbors joined.
std::vector<ops::ArenaRange> fp32_ranges(const ops::Parameters& parameters) {
  std::vector<ops::ArenaRange> ranges;
  for (const auto& [spec, offset] : parameters.declared()) {
    if (optim::is_hidden_matrix(*spec)) continue;
    const std::int64_t end = offset + spec->num_elements();
    if (!ranges.empty() && ranges.back().end == offset)
      ranges.back().end = end;
    else
      ranges.push_back({offset, end});
  }
  return ranges;
}

}  // namespace

SharedWeights::SharedWeights(ops::Parameters& parameters, const optim::Shards& shards,
                             dist::Group* group)
    : parameters_(parameters), shards_(shards), group_(group) {
  if (group_ == nullptr || !is_bf16(parameters_)) return;
  const std::vector<ops::ArenaRange> ranges = fp32_ranges(parameters_);
  const at::Tensor weights = parameters_.master().detach();
  std::int64_t num_packed = 0;
  for (std::size_t r = 0; r + 1 < shards_.begins.size(); ++r) {
    Fp32Values& values = values_.emplace_back();
    values.packed_begin = num_packed;
    for (const ops::ArenaRange& range : ranges) {
      const std::int64_t begin = std::max(range.begin, shards_.begins[r]),
                         end = std::min(range.end, shards_.begins[r + 1]);
      if (begin >= end) continue;
      const bool is_packed = end - begin <= kMostPacked;
      (is_packed ? values.small : values.large).push_back(weights.narrow(0, begin, end - begin));
      if (is_packed) num_packed += end - begin;
    }
  }
  packed_ = at::empty({num_packed}, at::kFloat);
}

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
  return {weights, is_bf16(parameters_) ? hash(parameters_.compute()) : weights};
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
  hashes_.resize(static_cast<std::size_t>(group_->size()));
  // Before it is sent: what changes meanwhile is not the result of the update.
  hashes_[static_cast<std::size_t>(group_->rank())] = hash_of_part(group_->rank());
  group_->gather(parameters_.compute().detach(), shards_.begins);
  if (is_bf16(parameters_)) {
    gather_values();
    is_complete_ = false;
  }
  note_received();
}

void SharedWeights::note_received() {
  for (int rank = 0; rank < group_->size(); ++rank)
    if (rank != group_->rank()) hashes_[static_cast<std::size_t>(rank)] = hash_of_part(rank);
}

void SharedWeights::gather_values() {
  const auto for_each_packed = [&](int rank, const auto& body) {
    const Fp32Values& values = values_[static_cast<std::size_t>(rank)];
    std::int64_t at = values.packed_begin;
    for (const at::Tensor& value : values.small) {
      body(value, packed_.narrow(0, at, value.numel()));
      at += value.numel();
    }
  };
  const int own = group_->rank();
  for_each_packed(own, [](const at::Tensor& value, const at::Tensor& to) { to.copy_(value); });
  dist::Transfer transfer(*group_);
  std::vector<std::int64_t> begins;
  for (int rank = 0; rank < group_->size(); ++rank) {
    const Fp32Values& values = values_[static_cast<std::size_t>(rank)];
    begins.push_back(values.packed_begin);
    for (const at::Tensor& value : values.large) {
      if (rank != own) transfer.receive({rank, value});
      for (int other = 0; rank == own && other < group_->size(); ++other)
        if (other != own) transfer.send({other, value});
    }
  }
  transfer.finish();
  begins.push_back(packed_.numel());
  group_->gather(packed_, begins);
  for (int rank = 0; rank < group_->size(); ++rank)
    if (rank != own)
      for_each_packed(rank,
                      [](const at::Tensor& value, const at::Tensor& from) { value.copy_(from); });
}

void SharedWeights::complete() {
  if (is_complete_) return;
  const at::NoGradGuard no_grad;
  group_->gather(parameters_.master().detach(), shards_.begins);
  note_received();
  is_complete_ = true;
}

void SharedWeights::forget() {
  hashes_.clear();
  is_complete_ = true;
}

}  // namespace sluice::train
