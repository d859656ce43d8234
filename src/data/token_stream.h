// A split of the corpus as one long sequence of token ids, memory-mapped from its shards.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "config/field.h"

namespace sluice::data {

// Sums over the documents of a split. Bytes and words count the text passed to the tokenizer.
struct SplitCounts {
  std::uint64_t num_documents = 0;
  std::uint64_t num_bytes = 0;
  std::uint64_t num_words = 0;
  std::uint64_t num_tokens = 0;   // including separators
  std::uint64_t num_unknown = 0;  // occurrences of the tokenizer's unknown piece
  friend bool operator==(const SplitCounts&, const SplitCounts&) = default;

  static constexpr auto fields() {
    using config::field;
    return std::tuple{
        field<&SplitCounts::num_documents>("Documents."),
        field<&SplitCounts::num_bytes>("Bytes of text passed to the tokenizer."),
        field<&SplitCounts::num_words>("Words: maximal runs of non-whitespace."),
        field<&SplitCounts::num_tokens>("Tokens, including separators."),
        field<&SplitCounts::num_unknown>("Occurrences of the tokenizer's unknown piece.")};
  }
};

class TokenStream {
 public:
  TokenStream() = default;  // empty
  // All shards in order. kBadData if a header or size is wrong; payload hashes are checked only by
  // verify().
  explicit TokenStream(const std::vector<std::filesystem::path>& shards);
  // In memory, for tests and `eval --data`. `document_ends`: for each document, the number of
  // tokens up to and including its last, in order. Without them, the stream is one document.
  explicit TokenStream(std::vector<std::int32_t> ids);
  TokenStream(std::vector<std::int32_t> ids, std::vector<std::uint64_t> document_ends);
  std::uint64_t num_tokens() const { return num_tokens_; }
  std::uint64_t num_documents() const { return num_documents_; }
  // Copies out.size() ids starting at position `begin`; the range must be inside the stream.
  // kBadData if an id is not below the vocabulary size.
  void read(std::uint64_t begin, std::span<std::int32_t> out) const;
  // The documents (from 0) of out.size() tokens starting at position `begin`. A separator belongs
  // to the document it ends. kBadData if there are tokens after the end of the last document.
  void documents(std::uint64_t begin, std::span<std::uint32_t> out) const;
  void verify() const;  // checks the hash and the document ends of every shard; kBadData

 private:
  struct Shard {
    MappedFile file;
    std::string name;
    std::uint64_t begin = 0, count = 0;
    int bytes_per_token = 2;
    std::uint64_t vocab_size = 0;
    std::uint64_t first_document = 0, num_ends = 0;
    std::uint32_t end_at(std::uint64_t index) const;
  };
  // Calls each(shard, skipped, part of out) for every shard of the tokens starting at `begin`.
  template <class Out, class Each>
  void each_part(std::uint64_t begin, std::span<Out> out, const Each& each) const;
  void check_range(std::uint64_t begin, std::uint64_t count) const;
  std::vector<Shard> shards_;
  std::vector<std::int32_t> ids_;
  std::vector<std::uint64_t> ends_;  // of the documents in ids_
  std::uint64_t num_tokens_ = 0, num_documents_ = 0;
};

}  // namespace sluice::data
