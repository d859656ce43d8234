#include "train/sharded_passes.h"

namespace sluice::train {
namespace {

std::vector<ops::ArenaRange> sections_of(const SectionWeights& weights) {
  std::vector<ops::ArenaRange> all;
  for (std::size_t i = 0; i < weights.num_sections(); ++i) all.push_back(weights.section(i));
  return all;
}

}  // namespace

ShardedPasses::ShardedPasses(ops::Parameters& parameters, const optim::Shards& shards,
                             dist::Group& group, SectionWeights& weights)
    : weights_(weights),
      gradients_(parameters, shards, group),
      rest_(ops::rest_of(parameters.arena_elements(), sections_of(weights))),
      on_final_([this](const ops::ArenaRange& section) {
        on_final(weights_.forward_index_of(section));
      }) {}

void ShardedPasses::begin(std::int64_t num_slots) {
  weights_.set_followed_by_backward(true);
  gradients_.begin(num_slots);
}

bool ShardedPasses::begin_round(std::int64_t first) {
  gradients_.begin_round(first);
  return gradients_.has_slot();
}

void ShardedPasses::listen(ops::Context& context) {
  context.before_section = weights_.before_section();
  context.on_final_gradients = &on_final_;
}

void ShardedPasses::on_final(std::size_t forward_index) {
  gradients_.exchange({weights_.section(forward_index)});
  weights_.finish_section(forward_index);
}

void ShardedPasses::finish_round(bool computed) {
  if (!computed) {
    weights_.walk();
    for (std::size_t i = weights_.num_sections(); i-- > 0;) on_final(i);
  }
  gradients_.exchange(rest_);
  gradients_.finish_round();
}

void ShardedPasses::finish() { weights_.set_followed_by_backward(false); }

}  // namespace sluice::train
