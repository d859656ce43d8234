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

namespace sluice::data {

struct SplitItem {
  std::string text;  // empty at the end of a document
  bool ends_document = false;
  std::uint64_t num_blocks = 0;  // read from the corpus when this one is done, those of other splits included
};

struct SplitRequest {
  std::vector<std::filesystem::path> files;
  const text::CorpusConfig& corpus;
  // Whether a block belongs to the split. Called for every block of the files, also for those before `start`.
  std::function<bool(std::string_view text, const std::filesystem::path& file, std::uint64_t offset)> select;
  SplitPosition start;  // items up to here are left out
};

// Calls `each` for every item behind `request.start`. Polls for a stop once per block: kInterrupted.
void read_split(const SplitRequest& request, text::FaultReport& report, const std::function<void(SplitItem)>& each);

}  // namespace sluice::data
