// What a run will need, from its configuration alone: what `sluice plan` shows.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/language_model.h"
#include "train/memory.h"
#include "train/run_config.h"

namespace sluice::train {

struct Plan {
  RunConfig config;  // every `auto` resolved that needs no corpus
  std::int64_t vocab_size = 0;
  model::ModelSizes sizes;
  std::int64_t tokens_per_step = 0;
  std::optional<std::uint64_t> tokens_per_epoch;  // where the data is prepared already
  std::optional<std::int64_t> total_steps;        // missing where `epochs` are given and the data is not prepared
  std::vector<MemoryPart> memory;                 // estimated peak of the process, by cause
  std::uint64_t memory_bytes = 0;
  std::uint64_t checkpoint_bytes = 0;  // one checkpoint
  std::uint64_t disk_bytes = 0;        // all that are kept at once, and the one being written
};

// Needs a corpus only for tokens_per_epoch and a tokenizer only where the configuration does not say its vocabulary. kUsage, kBadData and
// kMissingInput for a given tokenizer that cannot be read.
Plan make_plan(const RunConfig& config);

struct StepTiming {
  double seconds_per_step = 0;  // median
  double tokens_per_s = 0;
  std::uint64_t peak_memory_bytes = 0;
};
// Times steps on random tokens, after one that warms up. Polls base/signals.h.
StepTiming measure_steps(const Plan& plan, std::int64_t num_steps);

}  // namespace sluice::train
