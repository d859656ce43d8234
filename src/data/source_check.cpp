#include "data/source_check.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "data/fingerprint.h"
#include "data/input_files.h"
#include "text/documents.h"

namespace sluice::data {
namespace {

namespace fs = std::filesystem;

// The hashes of the files of the prepared data, training files first; empty if they are unknown.
std::vector<std::string> hashes_of(const fs::path& directory) {
  constexpr std::uint64_t kMaxBytes = 256 << 20;
  std::vector<std::string> hashes;
  try {
    const nlohmann::json manifest =
        nlohmann::json::parse(read_file(directory / "prepared.json", kMaxBytes));
    for (const auto& file : manifest.at("files"))
      hashes.push_back(file.at("hash").get<std::string>());
  } catch (const UserError&) {
    return {};
  } catch (const nlohmann::json::exception&) {
    return {};
  }
  return hashes;
}

bool begins_with(const std::vector<std::string>& all, const std::vector<InputFile>& first) {
  return first.size() < all.size() &&
         std::equal(first.begin(), first.end(), all.begin(),
                    [](const InputFile& file, const std::string& hash) {
                      return file.hash.hex() == hash;
                    });
}

}  // namespace

std::optional<std::string> find_changed_source(const PrepareSettings& settings,
                                               const StartedWith& started) {
  const std::optional<GivenModel> given_model = given_model_of(settings.tokenizer);
  if (given_model && given_model->hash.hex() != started.tokenizer_hash) return "tokenizer.model";
  const fs::path root = settings.corpus.prepared_dir;
  const fs::path cache = root / "cache" / "hashes.json";
  const auto hashed = [&](const std::vector<std::string>& patterns, std::string_view key) {
    return hash_inputs(text::expand_paths(patterns, key, text::Notes::kNone), cache, real_files());
  };
  const std::vector<InputFile> train = hashed(settings.corpus.train, "corpus.train"),
                               valid = hashed(settings.corpus.valid, "corpus.valid");
  const auto is_fingerprint_with = [&](const std::optional<GivenModel>& model) {
    return fingerprint_of(token_settings(settings, model), train, valid) == started.fingerprint;
  };
  if (is_fingerprint_with(given_model)) return std::nullopt;
  // Earlier versions cut long documents with every given model.
  if (given_model && given_model->joins_blocks &&
      is_fingerprint_with(GivenModel{.hash = given_model->hash, .joins_blocks = false}))
    return std::nullopt;
  const bool only_valid =
      !valid.empty() && begins_with(hashes_of(root / started.fingerprint), train);
  return only_valid ? "corpus.valid" : "corpus.train";
}

}  // namespace sluice::data
