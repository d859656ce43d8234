// The blocks of one split, in the order of the corpus.
//
// A block is what text::for_each_block() gives: a document, or a part of at most 64 KiB of a longer one. Blocks of one document may go
// to different splits; each split then has the document with gaps, and one separator, at the document's true end.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "data/shard.h"
#include "text/corpus_config.h"
#include "text/documents.h"
#include "text/tokenizer.h"

namespace sluice::data {

// A tokenizer that joins blocks gets them joined: an item then ends at the document's end, where a cut changes no ids, or before it
// would hold more than kMaxJoinedBytes. Each cut that may change ids is counted as kUncertainCuts.

inline constexpr std::size_t kMaxJoinedBytes = 16 << 20;
inline constexpr std::string_view kUncertainCuts = "cuts in long documents where ids may differ from one call on the whole document";

struct SplitItem {
  std::string text;  // empty at the end of a document
  bool ends_document = false;
  bool continues = false;        // an earlier item of this split has the start of the document
  bool continues_word = false;   // and ends inside the word that this one begins with
  std::uint64_t num_blocks = 0;  // read from the corpus when this one is done, those of other splits included
};

struct SplitRequest {
  std::vector<std::filesystem::path> files;
  const text::CorpusConfig& corpus;
  // Whether a block belongs to the split. Called for every block of the files, also for those before `start`.
  std::function<bool(std::string_view text, const std::filesystem::path& file, std::uint64_t offset)> select;
  SplitPosition start;                         // items up to here are left out
  const text::Tokenizer* tokenizer = nullptr;  // for which blocks are cut or joined; none: every block is an item
};

// Calls `each` for every item behind `request.start`. Polls for a stop once per block: kInterrupted.
void read_split(const SplitRequest& request, text::FaultReport& report, const std::function<void(SplitItem)>& each);

}  // namespace sluice::data
