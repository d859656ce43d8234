#include "interop/model_files.h"

#include <array>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/text_format.h"

namespace sluice::interop {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 1> kConfigs{"config.json"};
constexpr std::array<std::string_view, 2> kWeights{"model.safetensors",
                                                   "model.safetensors.index.json"};
constexpr std::array<std::string_view, 3> kTokenizers{"tokenizer.model", "spiece.model",
                                                      "tokenizer.json"};

template <std::size_t N>
fs::path first_in(const fs::path& directory, const std::array<std::string_view, N>& names) {
  std::string expected;
  for (const std::string_view name : names) {
    std::error_code ignored;
    if (fs::is_regular_file(directory / name, ignored)) return directory / name;
    expected += cat(expected.empty() ? "" : " or ", name);
  }
  fail(ExitCode::kMissingInput, directory.string(), cat("no ", expected));
}

ModelFiles in_directory(const fs::path& directory) {
  return {.config = first_in(directory, kConfigs),
          .weights = first_in(directory, kWeights),
          .tokenizer = first_in(directory, kTokenizers)};
}

// The file of `files` to which the name belongs; null if none.
fs::path* place_of(const std::string& name, ModelFiles& files) {
  if (name == "config.json") return &files.config;
  if (name.ends_with(".safetensors") || name.ends_with(".safetensors.index.json"))
    return &files.weights;
  if (name == "tokenizer.json" || name.ends_with(".model")) return &files.tokenizer;
  return nullptr;
}

void require_file(const fs::path& file, std::string_view expected) {
  require(!file.empty(), ExitCode::kMissingInput, "MODEL",
          cat("no ", expected, " among the files"));
}

}  // namespace

ModelFiles find_model_files(const std::vector<fs::path>& paths) {
  std::error_code ignored;
  if (paths.size() == 1 && fs::is_directory(paths.front(), ignored))
    return in_directory(paths.front());
  ModelFiles files;
  for (const fs::path& path : paths) {
    require(fs::is_regular_file(path, ignored), ExitCode::kMissingInput, path.string(),
            fs::is_directory(path, ignored) ? "a directory among files" : "file not found");
    fs::path* place = place_of(path.filename().string(), files);
    require(place != nullptr, ExitCode::kUsage, path.string(), "an unknown kind of file",
            "config.json, *.safetensors, *.safetensors.index.json, *.model or tokenizer.json");
    require(place->empty(), ExitCode::kUsage, path.string(),
            cat("a second file besides ", place->string()),
            "one of each kind; for several *.safetensors, their index");
    *place = path;
  }
  require_file(files.config, "config.json");
  require_file(files.weights, "*.safetensors");
  require_file(files.tokenizer, "*.model or tokenizer.json");
  return files;
}

}  // namespace sluice::interop
