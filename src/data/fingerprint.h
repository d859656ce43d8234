// Fingerprint of prepared data: a hash of the settings that determine the tokens and of the content
// of the files. File names and paths have no effect.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "data/input_files.h"
#include "data/prepared.h"

namespace sluice::data {

struct GivenModel {
  Hash128 hash;
  bool joins_blocks = false;  // text/tokenizer.h
};

// Loads the model named by `tokenizer`, if any; kBadData if it is damaged.
std::optional<GivenModel> given_model_of(const text::TokenizerConfig& tokenizer);

// One line per setting ("corpus.format: paragraphs"), in a fixed order. `given_model`:
// tokenizer.model, if set.
std::string token_settings(const PrepareSettings& settings,
                           const std::optional<GivenModel>& given_model);

// 32 hex digits.
std::string fingerprint_of(const std::string& token_settings, const std::vector<InputFile>& train,
                           const std::vector<InputFile>& valid);

}  // namespace sluice::data
