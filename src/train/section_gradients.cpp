#include "train/section_gradients.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "train/sharding.h"
#include "train/slot_additions.h"

namespace sluice::train {

using cluster::SlotRange;
using ops::ArenaRange;

namespace {

std::size_t float_bytes(std::int64_t elements) {
  return static_cast<std::size_t>(elements) * sizeof(float);
}

}  // namespace

SectionGradients::SectionGradients(ops::Parameters& parameters, const optim::Shards& shards,
                                   dist::Group& group)
    : parameters_(parameters), shards_(shards), group_(group), own_(shards.of(group.rank())) {}

SectionGradients::Sizes SectionGradients::sizes_of(const ops::Parameters& parameters,
                                                   const optim::Shards& shards,
                                                   std::span<const ArenaRange> sections,
                                                   std::int64_t num_slots) {
  const std::vector<ArenaRange>& own = shards.of(shards.rank);
  // What is in no section stays until the end of the round.
  const std::vector<ArenaRange> rest =
      ops::rest_of(parameters.arena_elements(), {sections.begin(), sections.end()});
  std::int64_t most = 0, before = 0, most_own = ops::num_elements(ops::common(rest, own));
  for (const ArenaRange& section : sections) {
    const std::int64_t others = ops::num_elements(of_others({section}, shards));
    most = std::max(most, before + others);
    before = others;
    most_own = std::max(most_own, section.size() - others);
  }
  const std::int64_t size = shards.size();
  std::size_t num_open = 0;
  cluster::SlotSums sums(num_slots);
  for (std::int64_t slot = 0; slot < num_slots; ++slot) {
    if (slot > 0 && slot % size == 0) num_open = std::max(num_open, sums.open().size());
    sums.append({slot, slot + 1});
  }
  const std::int64_t num_others = std::min(size, num_slots) - (shards.rank < num_slots ? 1 : 0);
  const std::int64_t num_own = ops::num_elements(own);
  return {.gradients = num_own + ops::num_elements(of_others(rest, shards)) + most,
          .sums = static_cast<std::int64_t>(num_open) * num_own + num_others * most_own};
}

void SectionGradients::begin(std::int64_t num_slots) {
  num_slots_ = num_slots;
  sums_ = cluster::SlotSums(num_slots);
}

void SectionGradients::begin_round(std::int64_t first) {
  first_ = first;
  num_in_round_ = static_cast<int>(std::min<std::int64_t>(group_.size(), num_slots_ - first));
  cluster::SlotSums after = sums_;
  for (std::int64_t slot = first; slot < first + num_in_round_; ++slot)
    after.append({slot, slot + 1});
  if (after.is_complete()) return;  // the sum is in the gradient
  while (partial_.size() < after.open().size())
    partial_.push_back(at::empty({ops::num_elements(own_)}, at::kFloat));
}

void SectionGradients::exchange(std::vector<ArenaRange> ranges) {
  finish_exchange();
  const at::NoGradGuard no_grad;
  ranges_ = std::move(ranges);
  transfer_ = std::make_unique<dist::Transfer>(group_);
  const std::vector<ArenaRange> own = ops::common(ranges_, own_);
  const std::int64_t needed = num_received() * ops::num_elements(own);
  if (!received_.defined() || received_.numel() < needed)
    received_ = at::empty({needed}, at::kFloat);
  std::int64_t received_at = 0;
  for (const ArenaRange& range : own)
    for (int rank = 0; rank < num_in_round_; ++rank) {
      if (rank == group_.rank()) continue;
      transfer_->receive({rank, received_.narrow(0, received_at, range.size())});
      received_at += range.size();
    }
  if (!has_slot()) return;
  for (int rank = 0; rank < group_.size(); ++rank) {
    if (rank == group_.rank()) continue;
    for (const ArenaRange& range : ops::common(ranges_, shards_.of(rank)))
      transfer_->send({rank, parameters_.gradient().narrow(0, range.begin, range.size())});
  }
}

void SectionGradients::finish_exchange() {
  if (transfer_ == nullptr) return;
  transfer_->finish();
  transfer_.reset();
  std::int64_t received_at = 0;
  for (const ArenaRange& range : ops::common(ranges_, own_)) {
    add(range, ops::place_in(own_, range.begin), received_at);
    received_at += num_received() * range.size();
  }
  for (const ArenaRange& range : of_others(ranges_, shards_))
    return_range(parameters_.gradient(), range);
}

// The slots of the round to the sums of those before.
void SectionGradients::add(const ArenaRange& own, std::int64_t partial_at,
                           std::int64_t received_at) {
  auto* const gradient = parameters_.gradient().data_ptr<float>();
  std::vector<SlotRange> nodes;
  std::vector<const float*> values;  // of the element own.begin, by slot
  const float* received = received_.data_ptr<float>() + received_at;
  for (int rank = 0; rank < num_in_round_; ++rank) {
    nodes.push_back({first_ + rank, first_ + rank + 1});
    values.push_back(rank == group_.rank() ? gradient + own.begin : received);
    if (rank != group_.rank()) received += own.size();
  }
  for_each_piece({0, own.size()}, [&](std::int64_t at, std::int64_t count) {
    cluster::SlotSums sums = sums_;
    OpenSums open;
    const auto partial = [&](std::size_t i) {
      return partial_[i].data_ptr<float>() + partial_at + at;
    };
    for (std::size_t i = 0; i < sums.open().size(); ++i)
      open.emplace_back(partial(i), partial(i) + count);
    std::vector<const float*> pieces;
    for (const float* const value : values) pieces.push_back(value + at);
    append_nodes(sums, open, nodes, pieces, count);
    float* const g = gradient + own.begin + at;
    if (sums.is_complete()) {
      std::memcpy(g, open.front().data(), float_bytes(count));
      return;
    }
    std::memset(g, 0, float_bytes(count));
    for (std::size_t i = 0; i < open.size(); ++i)
      std::memcpy(partial(i), open[i].data(), float_bytes(count));
  });
}

void SectionGradients::finish_round() {
  finish_exchange();
  for (int rank = 0; rank < num_in_round_; ++rank) sums_.append({first_ + rank, first_ + rank + 1});
}

}  // namespace sluice::train
