// Small models with random weights, saved as checkpoints, for tests of export and import.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "train/run_config.h"

namespace sluice::interop::test {

inline constexpr std::int64_t kContext = 80;

// A decoder or encoder-decoder of 2 layers with a SentencePiece tokenizer of 360 pieces. `model`:
// fields of the section, e.g. "ffn: relu, bias: true".
train::RunConfig decoder(std::string_view model);
train::RunConfig encoder_decoder(std::string_view model);

// Writes step 0 with random weights; returns its directory, ROOT/NAME/checkpoints/step-0.
std::filesystem::path save_random(const train::RunConfig& config, const std::filesystem::path& root,
                                  const std::string& name);

// Loads a checkpoint in fp32 and returns the 64 most likely tokens after `prompt`, each read before
// the next is chosen; of an encoder-decoder, the decoder's.
std::vector<std::int64_t> greedy_tokens(const std::filesystem::path& checkpoint,
                                        const std::vector<std::int64_t>& prompt);

// The content of a file.
std::string content(const std::filesystem::path& path);
void write(const std::filesystem::path& path, std::string_view text);
void replace(const std::filesystem::path& path, const std::string& from, const std::string& to);

// Runs `python SCRIPT ARGUMENTS`; true if it succeeds.
bool run_python(const std::string& python, const std::string& script,
                const std::vector<std::string>& arguments);

}  // namespace sluice::interop::test
