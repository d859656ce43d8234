// What a run will need, from its configuration alone: what `sluice plan` shows.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/language_model.h"
#include "text/documents.h"
#include "train/memory.h"
#include "train/resolve.h"

namespace sluice::train {

// Evaluations of a run, that of step 0 and the last one included.
struct PlannedEvaluations {
  std::int64_t count = 0;
  std::uint64_t num_batches = 0;  // forward passes of all together
};

struct Plan {
  ResolvedRun run;  // where the data is not prepared, what follows from it stands for one window
  std::int64_t vocab_size = 0;
  model::ModelSizes sizes;
  std::optional<std::uint64_t> tokens_per_epoch;  // where the data is prepared already
  std::optional<std::int64_t> total_steps;        // missing where `epochs` are given and the data is not prepared
  bool is_prepared = false;                       // the data is there
  std::optional<std::int64_t> num_saves;          // checkpoints written in all; missing as total_steps
  std::optional<PlannedEvaluations> evaluations;  // missing as total_steps, and where the data is not prepared
  std::vector<MemoryPart> memory;                 // estimated peak of the process, by cause
  std::uint64_t memory_bytes = 0;
  std::uint64_t checkpoint_bytes = 0;  // one checkpoint
  std::uint64_t disk_bytes = 0;        // all that are kept at once, and the one being written
};

// Needs a corpus only for tokens_per_epoch and a tokenizer only where the configuration does not say its vocabulary. kUsage, kBadData and
// kMissingInput for a given tokenizer that cannot be read.
// `notes` kNone: without warnings about the corpus, for one that is planned several times.
Plan make_plan(const RunConfig& config, text::Notes notes = text::Notes::kLog);

struct StepTiming {
  double seconds_per_step = 0;  // median
  double tokens_per_s = 0;
  std::uint64_t peak_memory_bytes = 0;
  double start_s = 0;             // from the start of the process until the model stood
  double evaluation_batch_s = 0;  // one forward pass of an evaluation; median
  double save_s = 0;              // one checkpoint: written and read back, in the directory for temporary files
};
// Times steps on random tokens, after one that warms up, and what else a run does. Polls base/signals.h.
StepTiming measure_steps(const Plan& plan, std::int64_t num_steps);

// Seconds of a run but for its steps: the start, evaluations and checkpoints, as far as the plan knows their number. Preparing the data is
// never part of it.
double other_seconds(const Plan& plan, const StepTiming& timing);

}  // namespace sluice::train
