// Contents of a checkpoint (docs/checkpoints.md). store/checkpoint_store.h writes it to disk.
//
//   model.safetensors       every logical parameter, fp32 (master weights), without padded rows
//   optimizer.safetensors   optimizer state by name ("exp_avg_sq.NAME") in fp32, "num_updates" in
//                           fp64
//   tokenizer.model|.json   the serialized tokenizer
//   config.yaml             the resolved configuration without paths (portable_config)
//   train_state.json        progress of the run
//
// The bytes are a function of the run's state: they contain no times, paths or process ids.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dist/group.h"
#include "model/language_model.h"
#include "optim/optimizer.h"
#include "store/checkpoint_store.h"
#include "text/tokenizer.h"
#include "train/checkpoint_state.h"
#include "train/run_config.h"

namespace sluice::train {

// `config` with all paths set to a fixed value: run.dir, corpus.train, corpus.valid,
// corpus.prepared_dir and the path of a given tokenizer. The same training in another directory
// gives the same text.
RunConfig portable_config(RunConfig config);

// The objects to save, borrowed.
struct Savable {
  const ops::Parameters& parameters;
  optim::Optimizer& optimizer;
  const text::Tokenizer& tokenizer;
  const RunConfig& config;       // resolved
  dist::Group* group = nullptr;  // the processes among which the optimizer is divided
};

// The files of one checkpoint. Writing them reads `savable`. Values on a GPU are copied to host
// memory here. Rank 0 writes them, while the others call send_parts().
std::vector<store::CheckpointFile> checkpoint_files(const Savable& savable,
                                                    const CheckpointState& state);
// Sends the own part of the optimizer's state, and of sharded weights, to rank 0.
void send_parts(const Savable& savable);
// "tokenizer_hash", "data_fingerprint".
std::map<std::string, std::string> checkpoint_notes(const Savable& savable,
                                                    const CheckpointState& state);
// Approximate size of one checkpoint, for the check of disk space.
std::uint64_t checkpoint_bytes(const Savable& savable);

// Reading. The directory must have been verified against its manifest. kBadData if its content is
// invalid.
CheckpointState read_state(const std::filesystem::path& checkpoint);
RunConfig read_config(const std::filesystem::path& checkpoint);
std::unique_ptr<text::Tokenizer> read_tokenizer(const store::Checkpoint& checkpoint);
// Restores weights and optimizer state, strictly by name, shape and type: what this process has of
// them.
void restore(const std::filesystem::path& checkpoint, ops::Parameters& parameters,
             optim::Optimizer& optimizer);

// Warns that a damaged checkpoint is skipped. `reason`: the message of verify_checkpoint(), which
// names the file.
void warn_of_damage(std::string_view reason);

}  // namespace sluice::train
