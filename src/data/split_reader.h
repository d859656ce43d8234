// The blocks of one split, in the order of the corpus.
//
// text::for_each_block() produces blocks: a document, or a part of at most 64 KiB of a longer one.
// Blocks of one document may go to different splits; each of these splits then has the document
// with gaps, and one separator at the document's end.
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

// For a tokenizer that joins blocks, an item ends only at the document's end, at a cut that does
// not change the ids, or before it would exceed kMaxJoinedBytes. Each cut that may change the ids
// is counted as kUncertainCuts.
inline constexpr std::size_t kMaxJoinedBytes = 16 << 20;
inline constexpr std::string_view kUncertainCuts =
    "cuts in long documents where ids may differ from one call on the whole document";

struct SplitItem {
  std::string text;  // empty at the end of a document
  bool ends_document = false;
  bool continues = false;       // continues the document of an earlier item of this split
  bool continues_word = false;  // ... which ends inside the first word of this one
  // Blocks read from the corpus up to the end of this item, including those of other splits.
  std::uint64_t num_blocks = 0;
};

struct SplitRequest {
  std::vector<std::filesystem::path> files;
  const text::CorpusConfig& corpus;
  // Whether a block belongs to the split. Called for every block of the files, including those
  // before `start`.
  std::function<bool(std::string_view text, const std::filesystem::path& file,
                     std::uint64_t offset)>
      select;
  SplitPosition start;  // items up to here are skipped
  // Determines how blocks are joined; null: every block is an item.
  const text::Tokenizer* tokenizer = nullptr;
};

// Calls `each` for every item after `request.start`. kInterrupted if a stop is requested, polled
// once per block.
void read_split(const SplitRequest& request, text::FaultReport& report,
                const std::function<void(SplitItem)>& each);

}  // namespace sluice::data
