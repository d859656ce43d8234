// What a checkpoint holds. How it gets to disk: store/checkpoint_store.h; docs/checkpoints.md describes the files.
//
//   model.safetensors       every logical parameter, fp32 (master weights), without padded rows
//   optimizer.safetensors   the optimizer's state by name ("exp_avg_sq.NAME") in fp32, "num_updates" in fp64
//   tokenizer.model|.json   the tokenizer's serialized form
//   config.yaml             the resolved configuration without paths (portable_config)
//   train_state.json        where the run stands
//
// The bytes are a function of the run's state: no times, no paths, no process numbers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/language_model.h"
#include "optim/optimizer.h"
#include "store/checkpoint_store.h"
#include "text/tokenizer.h"
#include "train/checkpoint_state.h"
#include "train/run_config.h"

namespace sluice::train {

// `config` with everything that says where things lie set to a fixed value: run.dir, corpus.train, corpus.valid, corpus.prepared_dir and
// the path of a given tokenizer. The same training in another place gives the same text.
RunConfig portable_config(RunConfig config);

// What is saved, borrowed.
struct Savable {
  const ops::Parameters& parameters;
  optim::Optimizer& optimizer;
  const text::Tokenizer& tokenizer;
  const RunConfig& config;  // resolved
};

// The files of one checkpoint. They read `savable` when they are written. Values on a GPU are copied to host memory here.
std::vector<store::CheckpointFile> checkpoint_files(const Savable& savable, const CheckpointState& state);
// "tokenizer_hash", "data_fingerprint".
std::map<std::string, std::string> checkpoint_notes(const Savable& savable, const CheckpointState& state);
// Size of one checkpoint, close enough for the space check.
std::uint64_t checkpoint_bytes(const Savable& savable);

// Reading. The directory has been verified against its manifest; that the content fits is checked here. kBadData.
CheckpointState read_state(const std::filesystem::path& checkpoint);
RunConfig read_config(const std::filesystem::path& checkpoint);
std::unique_ptr<text::Tokenizer> read_tokenizer(const store::Checkpoint& checkpoint);
// Weights and optimizer state, strictly by name, shape and type.
void restore(const std::filesystem::path& checkpoint, ops::Parameters& parameters, optim::Optimizer& optimizer);

}  // namespace sluice::train
