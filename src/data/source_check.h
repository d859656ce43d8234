// Checks whether the corpus and the tokenizer of a configuration are still those of a run.
#pragma once

#include <optional>
#include <string>

#include "base/hash.h"
#include "data/prepared.h"

namespace sluice::data {

// The data that a run was started with.
struct StartedWith {
  std::string fingerprint;     // of the prepared data
  std::string tokenizer_hash;  // hex
};

// Hashes the files named by `settings` (using the hash cache) and compares contents, not names or
// paths. Returns nullopt if nothing changed, otherwise what changed: "corpus.train", "corpus.valid"
// or "tokenizer.model". kMissingInput for a missing file, kBadData for an invalid tokenizer.
std::optional<std::string> find_changed_source(const PrepareSettings& settings,
                                               const StartedWith& started);

}  // namespace sluice::data
