#include "train/gradient_sums.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "dist/group.h"

namespace sluice::train {
namespace {

using cluster::SlotRange;

// Elements of a piece: a few of these arrays fit a level-2 cache.
constexpr std::int64_t kPiece = 8192;

template <class Body>
void for_each_piece(std::int64_t count, const Body& body) {
  at::parallel_for(0, (count + kPiece - 1) / kPiece, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      body(i * kPiece, std::min(count - i * kPiece, kPiece));
  });
}

// sum += other
void add(float* __restrict sum, const float* __restrict other, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) sum[i] += other[i];
}

float* data_of(const at::Tensor& flat) { return flat.data_ptr<float>(); }

}  // namespace

GradientSums::GradientSums(ops::Parameters& parameters, bool exact,
                           std::vector<std::int64_t> begins)
    : parameters_(parameters),
      exact_(exact && parameters.gradient().is_cpu()),
      begins_(std::move(begins)) {}

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

void GradientSums::begin(std::int64_t num_slots, const SlotRange& own) {
  own_ = own;
  next_ = own.begin;
  num_slots_ = num_slots;
  sums_ = cluster::SlotSums(num_slots);
  num_partial_ = 0;
}

void GradientSums::finish_slot() {
  invariant(next_ < own_.end, "GradientSums: an own slot");
  const SlotRange slot{next_, next_ + 1};
  const auto merges = static_cast<std::size_t>(sums_.append(slot));
  const bool is_last = ++next_ == own_.end;
  if (!exact_) return;
  const std::int64_t n = parameters_.arena_elements();
  num_partial_ -= merges;
  if (is_last) {
    if (merges == 0) return;
  } else if (num_partial_ == partial_.size()) {
    partial_.push_back(at::empty_like(parameters_.gradient()));
  }
  for_each_piece(n, [&](std::int64_t at, std::int64_t count) {
    float* g = gradient() + at;
    for (std::size_t i = merges; i-- > 0;) add(g, data_of(partial_[num_partial_ + i]) + at, count);
    if (is_last) return;
    const auto bytes = static_cast<std::size_t>(count) * sizeof(float);
    std::memcpy(data_of(partial_[num_partial_]) + at, g, bytes);
    std::memset(g, 0, bytes);
  });
  if (!is_last) ++num_partial_;
}

void GradientSums::finish(dist::Group* group) {
  invariant(next_ == own_.end, "GradientSums: after the last own slot");
  if (group == nullptr) {
    invariant(sums_.is_complete(), "one process computes all slots");
    return;
  }
  const at::NoGradGuard no_grad;
  if (!exact_) return group->add_all(parameters_.gradient());
  reduce(*group);
}

// Sends to every rank the own sums of its part, and adds those of the own part.
void GradientSums::reduce(dist::Group& group) {
  invariant(std::ssize(begins_) == group.size() + 1, "GradientSums: a part for each process");
  const auto begin_of = [&](int rank) { return begins_[static_cast<std::size_t>(rank)]; };
  const std::int64_t begin = begin_of(group.rank()), count = begin_of(group.rank() + 1) - begin;
  // The own sums from left to right; the last one is in the arena.
  std::vector<at::Tensor> own(partial_.begin(),
                              partial_.begin() + static_cast<std::ptrdiff_t>(num_partial_));
  if (own_.size() > 0) own.push_back(parameters_.gradient());

  std::vector<SlotRange> nodes;
  std::vector<const float*> values;  // of the own part, by node
  std::vector<dist::Group::Message> sends, receives;
  std::vector<std::vector<SlotRange>> nodes_by_rank;
  std::int64_t num_received = 0;
  for (int rank = 0; rank < group.size(); ++rank) {
    nodes_by_rank.push_back(
        cluster::nodes_of(cluster::slots_of(rank, group.size(), num_slots_), num_slots_));
    if (rank != group.rank())
      num_received += static_cast<std::int64_t>(nodes_by_rank.back().size());
  }
  if (!received_.defined() || received_.numel() < num_received * count)
    received_ = at::empty({num_received * count}, at::kFloat);
  std::int64_t next = 0;
  for (int rank = 0; rank < group.size(); ++rank) {
    const std::vector<SlotRange>& theirs = nodes_by_rank[static_cast<std::size_t>(rank)];
    nodes.insert(nodes.end(), theirs.begin(), theirs.end());
    if (rank == group.rank()) {
      for (const at::Tensor& sum : own) values.push_back(data_of(sum) + begin);
      continue;
    }
    for (std::size_t i = 0; i < theirs.size(); ++i, next += count) {
      const at::Tensor place = received_.narrow(0, next, count);
      values.push_back(data_of(place));
      if (count > 0) receives.push_back({rank, place});
    }
    const std::int64_t size = begin_of(rank + 1) - begin_of(rank);
    for (const at::Tensor& sum : own)
      if (size > 0) sends.push_back({rank, sum.narrow(0, begin_of(rank), size)});
  }
  group.exchange(sends, receives);

  float* total = gradient() + begin;
  for_each_piece(count, [&](std::int64_t at, std::int64_t size) {
    const auto bytes = static_cast<std::size_t>(size) * sizeof(float);
    cluster::SlotSums sums(num_slots_);
    std::vector<std::vector<float>> open;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      open.emplace_back(values[i] + at, values[i] + at + size);
      for (int merges = sums.append(nodes[i]); merges > 0; --merges) {
        const std::vector<float> right = std::move(open.back());
        open.pop_back();
        add(open.back().data(), right.data(), size);
      }
    }
    std::memcpy(total + at, open.at(0).data(), bytes);
  });
}

}  // namespace sluice::train
