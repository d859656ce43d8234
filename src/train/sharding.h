// What a process has of the weights if they are sharded by layer (distributed.shard: parameters;
// Rajbhandari et al. 2020, ZeRO stage 3; Zhao et al. 2023, "PyTorch FSDP", section 3).
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "dist/group.h"
#include "model/language_model.h"
#include "ops/parameters.h"
#include "optim/shards.h"
#include "train/resolve.h"

namespace sluice::train {

// optim::Shards::parts of the processes of a run; empty for one.
std::vector<std::vector<ops::ArenaRange>> shard_parts_of(const ResolvedRun& run,
                                                         const model::LanguageModel& model,
                                                         int num_processes);

// The parameters that are operands of matrix products (ops::ParameterSpec), neighbors as one range
// with the gap between them.
std::vector<ops::ArenaRange> operand_ranges(const ops::Parameters& parameters);

// Of which a process always has the weights: all but the operands in the parts of others; the whole
// arena if parameters are not sharded.
std::vector<ops::ArenaRange> resident_ranges(const ops::Parameters& parameters,
                                             const optim::Shards& shards);

// `ranges` without the part of shards.rank.
std::vector<ops::ArenaRange> of_others(const std::vector<ops::ArenaRange>& ranges,
                                       const optim::Shards& shards);

// The elements of a flat buffer in zero pages (ops::Parameters::allocate, on_demand) become zero
// and take no memory.
void return_range(const at::Tensor& flat, const ops::ArenaRange& range);

// Rank 0 receives the parts of a parameter that are elsewhere, in fp32. The others send theirs of
// all parameters, in the order of ops::Parameters::named().
at::Tensor receive_whole(const ops::Parameters::Named& parameter, const optim::Shards& shards,
                         dist::Group& group);
void send_weights(const ops::Parameters& parameters, const optim::Shards& shards,
                  dist::Group& group);

}  // namespace sluice::train
