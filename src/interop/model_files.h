// The files of a Hugging Face model, from the arguments of `sluice import`.
#pragma once

#include <filesystem>
#include <vector>

namespace sluice::interop {

struct ModelFiles {
  std::filesystem::path config;   // config.json
  std::filesystem::path weights;  // .safetensors, or the index of several
  // tokenizer.model or spiece.model if there is one, which is exact; otherwise tokenizer.json
  std::filesystem::path tokenizer;
};

// `paths`: a directory, or files in any order. kMissingInput, naming the directory or file, if one
// is missing; kUsage for an unexpected or repeated file.
ModelFiles find_model_files(const std::vector<std::filesystem::path>& paths);

}  // namespace sluice::interop
