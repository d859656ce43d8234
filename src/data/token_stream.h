// A split of the corpus as one long sequence of token ids, memory-mapped from its shards.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"

namespace sluice::data {

// Sums over the documents of a split. Bytes and words are those of the documents' text as given to the tokenizer.
struct SplitCounts {
  std::uint64_t num_documents = 0;
  std::uint64_t num_bytes = 0;
  std::uint64_t num_words = 0;
  std::uint64_t num_tokens = 0;   // separators included
  std::uint64_t num_unknown = 0;  // tokens that are the tokenizer's unknown piece
  friend bool operator==(const SplitCounts&, const SplitCounts&) = default;
};

class TokenStream {
 public:
  // Shards in order. kBadData where a header, size or hash is wrong (hash checked by verify() alone).
  explicit TokenStream(const std::vector<std::filesystem::path>& shards);
  explicit TokenStream(std::vector<std::int32_t> ids);  // in memory: tests and `eval --data`
  std::uint64_t num_tokens() const { return num_tokens_; }
  // Copies out.size() ids from position `begin` on; the range lies inside the stream. kBadData where an id is not below the vocabulary size.
  void read(std::uint64_t begin, std::span<std::int32_t> out) const;
  void verify() const;  // full hash of every shard

 private:
  struct Shard {
    MappedFile file;
    std::string name;
    std::uint64_t begin = 0, count = 0;
    int bytes_per_token = 2;
    std::uint64_t vocab_size = 0;
  };
  std::vector<Shard> shards_;
  std::vector<std::int32_t> ids_;
  std::uint64_t num_tokens_ = 0;
};

}  // namespace sluice::data
