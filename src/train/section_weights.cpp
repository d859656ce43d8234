#include "train/section_weights.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "base/error.h"
#include "train/sharding.h"

namespace sluice::train {

using ops::ArenaRange;

namespace {

std::vector<ArenaRange> operands_of(const ArenaRange& section,
                                    std::span<const ArenaRange> operands) {
  std::vector<ArenaRange> all;
  for (const ArenaRange& operand : operands) {
    if (!section.contains(operand.begin)) continue;
    invariant(operand.end <= section.end, "SectionWeights: no operand in two sections");
    all.push_back(operand);
  }
  return all;
}

}  // namespace

SectionWeights::SectionWeights(ops::Parameters& parameters, const optim::Shards& shards,
                               dist::Group& group, std::span<const ArenaRange> sections)
    : shards_(shards),
      group_(group),
      operands_(parameters.compute().detach()),
      before_section_([this](const ArenaRange& range) { enter(forward_index_of(range)); }) {
  invariant(shards.of_parameters, "SectionWeights: of sharded parameters");
  const std::vector<ArenaRange> operands = operand_ranges(parameters);
  std::size_t num_found = 0;
  for (std::size_t i = sections.size(); i-- > 0;) {
    sections_.push_back({.range = sections[i], .operands = operands_of(sections[i], operands)});
    num_found += sections_.back().operands.size();
    if (!sections_.back().operands.empty()) last_ = sections_.size() - 1;
  }
  invariant(num_found == operands.size(), "SectionWeights: each operand belongs to a section");
}

std::int64_t SectionWeights::num_elements(const ops::Parameters& parameters,
                                          const optim::Shards& shards,
                                          std::span<const ArenaRange> sections) {
  const std::vector<ArenaRange> operands = operand_ranges(parameters);
  std::int64_t most = 0, before = 0;
  for (const ArenaRange& section : sections) {
    const std::int64_t one = ops::num_elements(of_others(operands_of(section, operands), shards));
    most = std::max(most, before + one);
    before = one;
  }
  return most;
}

std::size_t SectionWeights::forward_index_of(const ArenaRange& section) const {
  const auto found = std::find_if(sections_.begin(), sections_.end(),
                                  [&](const Section& one) { return one.range == section; });
  invariant(found != sections_.end(), "SectionWeights: a section of the model");
  return static_cast<std::size_t>(found - sections_.begin());
}

// Before the forward pass computes section i.
void SectionWeights::enter(std::size_t i) {
  if (i > 0 && !(followed_by_backward_ && i - 1 == last_)) release(i - 1);
  require(i);
  if (i + 1 < sections_.size()) prefetch(i + 1);
}

void SectionWeights::finish_section(std::size_t i) {
  release(i);
  if (i == 0) return;
  require(i - 1);
  if (i > 1) prefetch(i - 2);
}

void SectionWeights::walk() {
  for (std::size_t i = 0; i < sections_.size(); ++i) enter(i);
}

void SectionWeights::release_all() {
  finish_transfer();
  for (std::size_t i = 0; i < sections_.size(); ++i) release(i);
}

void SectionWeights::prefetch(std::size_t i) {
  if (sections_[i].is_here) return;
  invariant(transfer_ == nullptr, "SectionWeights: one section at a time arrives");
  const at::NoGradGuard no_grad;
  transfer_ = std::make_unique<dist::Transfer>(group_);
  arriving_ = i;
  const auto part = [&](int rank) { return ops::common(sections_[i].operands, shards_.of(rank)); };
  const auto view = [&](const ArenaRange& range) {
    return operands_.narrow(0, range.begin, range.size());
  };
  const std::vector<ArenaRange> own = part(group_.rank());
  for (int rank = 0; rank < group_.size(); ++rank) {
    if (rank == group_.rank()) continue;
    for (const ArenaRange& range : part(rank)) transfer_->receive({rank, view(range)});
    for (const ArenaRange& range : own) transfer_->send({rank, view(range)});
  }
}

void SectionWeights::require(std::size_t i) {
  if (sections_[i].is_here) return;
  if (transfer_ == nullptr) prefetch(i);
  invariant(arriving_ == i, "SectionWeights: sections arrive in the order of the pass");
  finish_transfer();
}

void SectionWeights::finish_transfer() {
  if (transfer_ == nullptr) return;
  transfer_->finish();
  transfer_.reset();
  sections_[arriving_].is_here = true;
}

void SectionWeights::release(std::size_t i) {
  if (!sections_[i].is_here) return;
  sections_[i].is_here = false;
  for (const ArenaRange& range : of_others(sections_[i].operands, shards_))
    return_range(operands_, range);
}

}  // namespace sluice::train
