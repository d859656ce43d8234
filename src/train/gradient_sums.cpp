#include "train/gradient_sums.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "dist/group.h"
#include "dist/transfer.h"
#include "train/slot_additions.h"

namespace sluice::train {
namespace {

using cluster::SlotRange;
using ops::ArenaRange;

float* data_of(const at::Tensor& flat) { return flat.data_ptr<float>(); }

std::size_t num_bytes(std::int64_t elements) {
  return static_cast<std::size_t>(elements) * sizeof(float);
}

}  // namespace

GradientSums::GradientSums(ops::Parameters& parameters, GradientSumsConfig config)
    : parameters_(parameters),
      config_(std::move(config)),
      buckets_(config_.group == nullptr
                   ? GradientBuckets(parameters.arena_elements())
                   : GradientBuckets(parameters.arena_elements(), config_.sections,
                                     config_.bucket_elements)),
      on_final_([this](const ArenaRange& section) {
        buckets_.mark(section);
        finish_buckets(buckets_.num_final());
      }) {
  config_.exact = config_.exact && parameters.gradient().is_cpu();
}

GradientSums::~GradientSums() = default;

std::int64_t GradientSums::num_elements(std::int64_t arena_elements, std::int64_t num_slots,
                                        int rank, std::span<const std::int64_t> begins) {
  const int num_ranks = begins.empty() ? 1 : static_cast<int>(begins.size()) - 1;
  // The sum of the last own slots is in the arena.
  const SlotRange own = cluster::slots_of(rank, num_ranks, num_slots);
  cluster::SlotSums sums(num_slots);
  std::size_t most = 0;
  for (std::int64_t slot = own.begin; slot + 1 < own.end; ++slot) {
    sums.append({slot, slot + 1});
    most = std::max(most, sums.open().size());
  }
  std::int64_t elements = static_cast<std::int64_t>(most) * arena_elements;
  if (num_ranks == 1) return elements;
  const auto r = static_cast<std::size_t>(rank);
  for (int other = 0; other < num_ranks; ++other)
    if (other != rank)
      elements +=
          (begins[r + 1] - begins[r]) *
          std::ssize(cluster::nodes_of(cluster::slots_of(other, num_ranks, num_slots), num_slots));
  return elements;
}

float* GradientSums::gradient() const { return data_of(parameters_.gradient()); }

// What `range` has of the part of a rank.
at::Tensor GradientSums::part_of(const at::Tensor& flat, const ArenaRange& range, int rank) const {
  const auto r = static_cast<std::size_t>(rank);
  const ArenaRange part = ops::intersection(range, {config_.begins[r], config_.begins[r + 1]});
  return flat.narrow(0, part.begin, part.size());
}

std::vector<SlotRange> GradientSums::nodes_of(int rank) const {
  const int size = config_.group->size();
  return cluster::nodes_of(cluster::slots_of(rank, size, num_slots_), num_slots_);
}

void GradientSums::begin(std::int64_t num_slots, const SlotRange& own) {
  invariant(config_.group == nullptr || std::ssize(config_.begins) == config_.group->size() + 1,
            "GradientSums: a part of each process");
  own_ = own;
  next_ = own.begin;
  num_slots_ = num_slots;
  sums_ = cluster::SlotSums(num_slots);
  num_partial_ = 0;
  next_bucket_ = 0;
}

const ops::OnSection* GradientSums::begin_slot() {
  invariant(next_ < own_.end, "GradientSums: an own slot");
  num_merges_ = static_cast<std::size_t>(sums_.append({next_, next_ + 1}));
  if (next_ + 1 < own_.end || config_.group == nullptr) return nullptr;
  begin_transfer();
  return &on_final_;
}

void GradientSums::finish_slot() {
  if (++next_ == own_.end) return finish_buckets(buckets_.size());
  if (!config_.exact) return;
  num_partial_ -= num_merges_;
  if (num_partial_ == partial_.size()) partial_.push_back(at::empty_like(parameters_.gradient()));
  for_each_piece({0, parameters_.arena_elements()}, [&](std::int64_t at, std::int64_t count) {
    float* g = gradient() + at;
    for (std::size_t i = num_merges_; i-- > 0;)
      add_piece(g, data_of(partial_[num_partial_ + i]) + at, count);
    std::memcpy(data_of(partial_[num_partial_]) + at, g, num_bytes(count));
    std::memset(g, 0, num_bytes(count));
  });
  ++num_partial_;
}

// Adds and sends all before `end`, in their order: that of the messages.
void GradientSums::finish_buckets(std::size_t end) {
  for (; next_bucket_ < end; ++next_bucket_)
    for (const ArenaRange& range : buckets_[next_bucket_]) {
      if (config_.exact) add_partial(range);
      if (config_.group != nullptr) send(range);
    }
}

void GradientSums::add_partial(const ArenaRange& range) {
  if (num_merges_ == 0) return;
  for_each_piece(range, [&](std::int64_t at, std::int64_t count) {
    for (std::size_t i = num_partial_; i-- > num_partial_ - num_merges_;)
      add_piece(gradient() + at, data_of(partial_[i]) + at, count);
  });
}

// Sends the sums that are complete before the last own slot.
void GradientSums::begin_transfer() {
  const at::NoGradGuard no_grad;
  dist::Group& group = *config_.group;
  transfer_ = std::make_unique<dist::Transfer>(group);
  buckets_.reset();
  if (!config_.exact) return;
  receive();
  const ArenaRange all{0, parameters_.arena_elements()};
  for (std::size_t i = 0; i + num_merges_ < num_partial_; ++i)
    for (int rank = 0; rank < group.size(); ++rank) {
      const at::Tensor part = part_of(partial_[i], all, rank);
      if (rank != group.rank() && part.numel() > 0) transfer_->send({rank, part});
    }
}

// Of each other rank: all but the last node as a whole, then the last one by bucket.
void GradientSums::receive() {
  const dist::Group& group = *config_.group;
  const int own = group.rank();
  const auto r = static_cast<std::size_t>(own);
  const std::int64_t begin = config_.begins[r], count = config_.begins[r + 1] - begin;
  if (count == 0) return;
  std::int64_t num_nodes = 0;
  for (int rank = 0; rank < group.size(); ++rank)
    if (rank != own) num_nodes += std::ssize(nodes_of(rank));
  if (!received_.defined() || received_.numel() < num_nodes * count)
    received_ = at::empty({num_nodes * count}, at::kFloat);
  std::int64_t next = 0;
  for (int rank = 0; rank < group.size(); ++rank) {
    if (rank == own) continue;
    for (std::int64_t left = std::ssize(nodes_of(rank)); left > 0; --left, next += count) {
      const at::Tensor node = received_.narrow(0, next, count);
      if (left > 1) {
        transfer_->receive({rank, node});
        continue;
      }
      for (std::size_t bucket = 0; bucket < buckets_.size(); ++bucket)
        for (const ArenaRange& range : buckets_[bucket]) {
          const ArenaRange part = ops::intersection(range, {begin, begin + count});
          if (part.size() > 0)
            transfer_->receive({rank, node.narrow(0, part.begin - begin, part.size())});
        }
    }
  }
}

void GradientSums::send(const ArenaRange& range) {
  const at::NoGradGuard no_grad;
  dist::Group& group = *config_.group;
  const at::Tensor& gradient = parameters_.gradient();
  if (!config_.exact) return transfer_->add_all(gradient.narrow(0, range.begin, range.size()));
  for (int rank = 0; rank < group.size(); ++rank) {
    const at::Tensor part = part_of(gradient, range, rank);
    if (rank != group.rank() && part.numel() > 0) transfer_->send({rank, part});
  }
}

void GradientSums::finish() {
  invariant(next_ == own_.end, "GradientSums: after the last own slot");
  if (config_.group == nullptr) {
    invariant(sums_.is_complete(), "one process computes all slots");
    return;
  }
  const at::NoGradGuard no_grad;
  if (own_.size() == 0) {
    begin_transfer();
    if (!config_.exact) finish_buckets(buckets_.size());  // all take part in these sums
  }
  transfer_->finish();
  transfer_.reset();
  if (config_.exact) add_nodes();
  clear_others();
}

// What other processes update.
void GradientSums::clear_others() {
  const auto r = static_cast<std::size_t>(config_.group->rank());
  const std::int64_t begin = config_.begins[r], end = config_.begins[r + 1];
  std::memset(gradient(), 0, num_bytes(begin));
  std::memset(gradient() + end, 0, num_bytes(parameters_.arena_elements() - end));
}

// The own part of the gradient: its nodes of all ranks, from left to right.
void GradientSums::add_nodes() {
  const dist::Group& group = *config_.group;
  const auto r = static_cast<std::size_t>(group.rank());
  const std::int64_t begin = config_.begins[r], count = config_.begins[r + 1] - begin;
  std::vector<SlotRange> nodes;
  std::vector<const float*> values;  // of the own part, by node
  std::int64_t next = 0;
  for (int rank = 0; rank < group.size(); ++rank) {
    const std::vector<SlotRange> theirs = nodes_of(rank);
    nodes.insert(nodes.end(), theirs.begin(), theirs.end());
    for (std::size_t i = 0; i < theirs.size(); ++i) {
      if (rank != group.rank()) {
        values.push_back(count == 0 ? nullptr : data_of(received_) + next);
        next += count;
      } else if (i + 1 < theirs.size()) {
        values.push_back(data_of(partial_[i]) + begin);
      } else {
        values.push_back(gradient() + begin);
      }
    }
  }
  for_each_piece({0, count}, [&](std::int64_t at, std::int64_t size) {
    cluster::SlotSums sums(num_slots_);
    OpenSums open;
    std::vector<const float*> pieces;
    for (const float* const value : values) pieces.push_back(value + at);
    append_nodes(sums, open, nodes, pieces, size);
    std::memcpy(gradient() + begin + at, open.at(0).data(), num_bytes(size));
  });
}

}  // namespace sluice::train
