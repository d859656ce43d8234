// Resources of a run, from its configuration alone: `sluice plan`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/language_model.h"
#include "run/fit_micro_batch.h"
#include "run/memory.h"
#include "text/documents.h"
#include "train/resolve.h"

namespace sluice::run {

// Evaluations of a run, including step 0 and the last step.
struct PlannedEvaluations {
  std::int64_t count = 0;
  std::uint64_t num_batches = 0;  // forward passes in total
};

struct Plan {
  train::ResolvedRun run;  // if the data is not prepared, resolved as if it had one window
  std::int64_t vocab_size = 0;
  model::ModelSizes sizes;
  std::optional<std::uint64_t> tokens_per_epoch;  // only if the data is prepared
  // missing if the length is given in `epochs` and the data is not prepared
  std::optional<std::int64_t> total_steps;
  bool is_prepared = false;
  // checkpoints written in total; missing if total_steps is
  std::optional<std::int64_t> num_saves;
  // missing if total_steps is or if the data is not prepared
  std::optional<PlannedEvaluations> evaluations;
  std::vector<MemoryPart> memory;  // estimated peak of the process, by cause
  std::uint64_t memory_bytes = 0;
  // with distributed.shard: parameters; missing for one process, and if that is set
  std::optional<std::uint64_t> sharded_memory_bytes;
  std::vector<MemoryPart> gpu_memory;  // the same for the GPU; empty on a CPU
  std::uint64_t gpu_memory_bytes = 0;
  std::uint64_t checkpoint_bytes = 0;  // one checkpoint
  std::uint64_t disk_bytes = 0;        // all kept at once, plus the one being written
};

// The corpus is needed only for tokens_per_epoch, the tokenizer only if the configuration does not
// give the size of the vocabulary. kUsage, kBadData and kMissingInput for a given tokenizer that
// cannot be read. `notes` kNone suppresses warnings about the corpus, for repeated planning.
// `probe`: how `train.micro_batch_sequences: auto` is resolved on a GPU. `num_processes`: memory is
// that of the one of them that needs most (docs/distributed.md).
Plan make_plan(const train::RunConfig& config, text::Notes notes = text::Notes::kLog,
               Probe probe = Probe::kPredict, std::int64_t num_processes = 1);

struct StepTiming {
  double seconds_per_step = 0;  // median
  double tokens_per_s = 0;
  std::uint64_t peak_memory_bytes = 0;
  std::optional<std::uint64_t> peak_gpu_memory_bytes;  // LibTorch's, and of the driver
  double start_s = 0;             // from the start of the process until the model was created
  double first_step_s = 0;        // and until the first step was done
  double evaluation_batch_s = 0;  // one forward pass of an evaluation; median
  // writing and reading back one checkpoint, in the directory for temporary files
  double save_s = 0;
};
// Times steps on random tokens, after a warm-up step (on a GPU: groups of steps, after those that
// compile and record), and evaluation, saving and start-up. Polls base/signals.h. Together with
// other processes if their parent asks for it (base/rendezvous.h). kIo if memory is exhausted.
StepTiming measure_steps(const Plan& plan, std::int64_t num_steps);

// Seconds of a run outside its steps: start-up, and the planned evaluations and checkpoints if
// known. Excludes data preparation.
double other_seconds(const Plan& plan, const StepTiming& timing);

}  // namespace sluice::run
