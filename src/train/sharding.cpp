#include "train/sharding.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cstddef>
#include <span>

#include "base/pages.h"
#include "optim/optimizer.h"

namespace sluice::train {

using ops::ArenaRange;

std::vector<ArenaRange> operand_ranges(const ops::Parameters& parameters) {
  std::vector<ArenaRange> all;
  bool continues = false;
  for (const auto& [spec, offset] : parameters.declared()) {
    const ArenaRange range{offset, offset + spec->num_elements()};
    if (spec->is_operand && continues)
      all.back().end = range.end;
    else if (spec->is_operand)
      all.push_back(range);
    continues = spec->is_operand;
  }
  return all;
}

// Sharded parameters: each section is divided, so that all processes send its weights.
std::vector<std::vector<ArenaRange>> shard_parts_of(const ResolvedRun& run,
                                                    const model::LanguageModel& model,
                                                    int num_processes) {
  return optim::shard_parts(
      run.config.optimizer, model.parameters(), num_processes,
      run.shards_parameters() ? model.gradient_sections() : std::vector<ArenaRange>{});
}

std::vector<ArenaRange> of_others(const std::vector<ArenaRange>& ranges,
                                  const optim::Shards& shards) {
  if (ranges.empty()) return {};
  return ops::common(ranges,
                     ops::rest_of(ranges.back().end,
                                  ops::common(shards.of(shards.rank), {{0, ranges.back().end}})));
}

std::vector<ArenaRange> resident_ranges(const ops::Parameters& parameters,
                                        const optim::Shards& shards) {
  if (!shards.of_parameters) return parameters.whole();
  return ops::rest_of(parameters.arena_elements(), of_others(operand_ranges(parameters), shards));
}

void return_range(const at::Tensor& flat, const ArenaRange& range) {
  const at::Tensor part = flat.narrow(0, range.begin, range.size());
  return_pages({static_cast<std::byte*>(part.data_ptr()), part.nbytes()});
}

namespace {

// What a rank has of a parameter that is divided, from the parameter's first element on.
ArenaRange owned(const ops::Parameters::Named& parameter, const optim::Shards& shards, int rank) {
  const std::vector<ArenaRange> own = ops::common(
      {{parameter.offset, parameter.offset + parameter.spec->num_elements()}}, shards.of(rank));
  if (own.empty()) return {};
  return {own[0].begin - parameter.offset, own[0].end - parameter.offset};  // see Shards::parts
}

}  // namespace

at::Tensor receive_whole(const ops::Parameters::Named& parameter, const optim::Shards& shards,
                         dist::Group& group) {
  if (!shards.of_parameters || !parameter.spec->is_operand) return parameter.value;
  const at::NoGradGuard no_grad;
  const at::Tensor whole = at::empty({parameter.spec->num_elements()}, at::kFloat);
  std::vector<dist::Group::Message> receives;
  for (int rank = 0; rank < group.size(); ++rank) {
    const ArenaRange part = owned(parameter, shards, rank);
    if (part.size() == 0) continue;
    const at::Tensor place = whole.narrow(0, part.begin, part.size());
    if (rank == group.rank())
      place.copy_(parameter.value.detach().flatten().narrow(0, part.begin, part.size()));
    else
      receives.push_back({rank, place});
  }
  group.exchange({}, receives);
  return whole.view(parameter.spec->shape);
}

void send_weights(const ops::Parameters& parameters, const optim::Shards& shards,
                  dist::Group& group) {
  const at::NoGradGuard no_grad;
  for (const ops::Parameters::Named& parameter : parameters.named()) {
    const ArenaRange part = owned(parameter, shards, group.rank());
    if (!parameter.spec->is_operand || part.size() == 0) continue;
    const dist::Group::Message message{
        0, parameter.value.detach().flatten().narrow(0, part.begin, part.size())};
    group.exchange({&message, 1}, {});
  }
}

}  // namespace sluice::train
