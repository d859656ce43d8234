// The work on one folder of prepared data, from the corpus to what prepared.json will say. Used inside data.
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

// Writes tokenizer and shards; the caller holds the folder's lock. kBadData where a split has no text, or where the training files have
// all of the held-out text. `settings` and `files` of the result are the caller's to fill.
PreparedManifest run_preparation(const PrepareSettings& settings, const Inputs& inputs, const std::filesystem::path& directory,
                                 const std::string& fingerprint);

}  // namespace sluice::data
