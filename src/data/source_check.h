// Whether a configuration still names the text and the tokenizer that a run was started with.
#pragma once

#include <optional>
#include <string>

#include "base/hash.h"
#include "data/prepared.h"

namespace sluice::data {

// What a run was started with.
struct StartedWith {
  std::string fingerprint;     // of its prepared data
  std::string tokenizer_hash;  // hex
};

// Hashes what `settings` names (through the cache of hashes) and compares. Contents decide, names and places do not. Nothing where all is
// as it was; else what differs: "corpus.train", "corpus.valid" or "tokenizer.model".
// kMissingInput for a file that is not there, kBadData for a tokenizer that is none.
std::optional<std::string> find_changed_source(const PrepareSettings& settings, const StartedWith& started);

}  // namespace sluice::data
