#include "data/source_check.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "data/fingerprint.h"
#include "data/input_files.h"
#include "text/documents.h"

namespace sluice::data {
namespace {

namespace fs = std::filesystem;

// Without a place for the cache everything is read.
std::vector<InputFile> hashed(const std::vector<fs::path>& paths, const fs::path& cache) {
  std::error_code ignored;
  fs::create_directories(cache, ignored);
  return hash_inputs(paths, cache / "hashes.json", real_files());
}

// The hashes of the files that the prepared data was made from, training files first; empty where it does not say.
std::vector<std::string> hashes_of(const fs::path& directory) {
  constexpr std::uint64_t kMaxBytes = 256 << 20;
  std::vector<std::string> hashes;
  try {
    const nlohmann::json manifest = nlohmann::json::parse(read_file(directory / "prepared.json", kMaxBytes));
    for (const auto& file : manifest.at("files")) hashes.push_back(file.at("hash").get<std::string>());
  } catch (const UserError&) {
    return {};
  } catch (const nlohmann::json::exception&) {
    return {};
  }
  return hashes;
}

bool begins_with(const std::vector<std::string>& all, const std::vector<InputFile>& first) {
  return first.size() < all.size() && std::equal(first.begin(), first.end(), all.begin(),
                                                 [](const InputFile& file, const std::string& hash) { return file.hash.hex() == hash; });
}

}  // namespace

std::optional<std::string> find_changed_source(const PrepareSettings& settings, const StartedWith& started) {
  const std::optional<GivenModel> given_model = given_model_of(settings.tokenizer);
  if (given_model && given_model->hash.hex() != started.tokenizer_hash) return "tokenizer.model";
  const fs::path root = settings.corpus.prepared_dir;
  const std::vector<fs::path> train_paths = text::expand_paths(settings.corpus.train, "corpus.train"),
                              valid_paths = text::expand_paths(settings.corpus.valid, "corpus.valid");
  const std::vector<InputFile> train = hashed(train_paths, root / "cache"), valid = hashed(valid_paths, root / "cache");
  if (fingerprint_of(token_settings(settings, given_model), train, valid) == started.fingerprint) return std::nullopt;
  const bool only_valid = !valid.empty() && begins_with(hashes_of(root / started.fingerprint), train);
  return only_valid ? "corpus.valid" : "corpus.train";
}

}  // namespace sluice::data
