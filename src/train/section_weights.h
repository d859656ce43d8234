// The weights of a model whose parameters are sharded: a process has those of a section while it
// computes it, and receives those of the next one meanwhile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "dist/group.h"
#include "dist/transfer.h"
#include "ops/context.h"
#include "ops/parameters.h"
#include "optim/shards.h"

namespace sluice::train {

// All processes of the group make the same passes, each on its own batch.
class SectionWeights {
 public:
  // All borrowed; the parameters are allocated `on_demand`. `sections`: of the model, see
  // LanguageModel::gradient_sections().
  SectionWeights(ops::Parameters& parameters, const optim::Shards& shards, dist::Group& group,
                 std::span<const ops::ArenaRange> sections);

  // Elements of weights that shards.rank has of the parts of others, at most: those of a section
  // and of the one that arrives.
  static std::int64_t num_elements(const ops::Parameters& parameters, const optim::Shards& shards,
                                   std::span<const ops::ArenaRange> sections);

  // For the forward passes of the context.
  const ops::OnSection* before_section() { return &before_section_; }
  // Of the forward passes from now on. A backward pass begins with what is used last, so that is
  // kept.
  void set_followed_by_backward(bool followed) { followed_by_backward_ = followed; }
  // The backward pass has finished section `forward_index` of the forward pass.
  void finish_section(std::size_t forward_index);
  // After forward passes without a backward pass.
  void release_all();

  std::size_t num_sections() const { return sections_.size(); }
  const ops::ArenaRange& section(std::size_t forward_index) const {
    return sections_[forward_index].range;
  }
  std::size_t forward_index_of(const ops::ArenaRange& section) const;
  // Takes part in a forward pass of the other processes without computing anything.
  void walk();

 private:
  struct Section {
    ops::ArenaRange range;
    std::vector<ops::ArenaRange> operands;
    bool is_here = false;
  };
  void enter(std::size_t i);
  // Receives the weights of section i: begins to, or returns when they are here.
  void prefetch(std::size_t i);
  void require(std::size_t i);
  void finish_transfer();
  void release(std::size_t i);

  const optim::Shards& shards_;
  dist::Group& group_;
  at::Tensor operands_;            // the flat buffer of what matrix products read
  std::vector<Section> sections_;  // in the order of a forward pass
  std::size_t last_ = 0;           // the last section that has operands
  bool followed_by_backward_ = false;
  std::unique_ptr<dist::Transfer> transfer_;
  std::size_t arriving_ = 0;  // the section of transfer_
  ops::OnSection before_section_;
};

}  // namespace sluice::train
