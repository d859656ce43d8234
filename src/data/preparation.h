// Prepares one folder, from the corpus to the content of prepared.json. Internal to data.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/input_files.h"
#include "data/prepared.h"
#include "data/prepared_folder.h"

namespace sluice::data {

struct Inputs {
  std::vector<InputFile> train, valid;
};

// Writes the tokenizer and the shards; the caller holds the folder's lock. kBadData if a split has
// no text or the training files contain all of the held-out text. The caller fills `settings` and
// `files` of the result.
PreparedManifest run_preparation(const PrepareSettings& settings, const Inputs& inputs,
                                 const std::filesystem::path& directory,
                                 const std::string& fingerprint);

}  // namespace sluice::data
