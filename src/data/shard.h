// Token shards: NAME-NNNNN.tokens.
//
// One split of a corpus is a sequence of shards. A shard consists of a header of 128 bytes, the
// token ids, and the document ends: 4 bytes for each document that ends in this shard, the number
// of tokens of this shard up to and including the document's last token. Ends are non-decreasing; 0
// means that the document ended with the previous shard. A separator is the last token of the
// document it ends.
//
//   byte  size
//      0     8  magic "SLUICTOK"
//      8     4  format version, 2
//     12     4  bytes per token: 2 if the vocabulary has at most 65,536 ids, else 4
//     16     8  number of tokens in this shard
//     24    16  XXH3-128 of everything after the header (high half, low half)
//     40     8  vocabulary size: every id is below it
//     48     8  index of this shard in its split, from 0
//     56    48  six sums over this and all earlier shards of the split: blocks read from the corpus
//               (including those of other splits), documents, bytes of text, words, tokens,
//               unknown tokens
//    104     1  1 if a document continues in the next shard
//    105     3  zero
//    108     4  number of documents that end in this shard
//    112     8  the low half of XXH3-128 of the fingerprint's 32 hex digits
//    120     8  the low half of XXH3-128 of bytes 0 to 119
//
// Numbers are unsigned and little-endian. Nothing follows the document ends. The sums allow
// preparation to resume after any shard.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "data/token_stream.h"

namespace sluice {
class FileSystem;
}

namespace sluice::data {

// A position in the stream of a split, e.g. at the end of a shard.
struct SplitPosition {
  std::uint64_t num_blocks = 0;  // read from the corpus so far
  bool inside_document = false;  // the split has text of a document that has not ended yet
  SplitCounts counts;
  friend bool operator==(const SplitPosition&, const SplitPosition&) = default;
};

struct ShardHeader {
  static constexpr std::size_t kBytes = 128;
  static constexpr std::uint32_t kVersion = 2;

  std::uint32_t bytes_per_token = 2;
  std::uint64_t num_tokens = 0;
  Hash128 payload_hash;
  std::uint64_t vocab_size = 0;
  std::uint64_t index = 0;
  SplitPosition end;
  std::uint32_t num_document_ends = 0;
  std::uint64_t fingerprint_hash = 0;

  std::array<char, kBytes> serialize() const;
  // kBadData if it is damaged or does not match a file of `file_bytes`.
  static ShardHeader parse(std::span<const std::byte> bytes, std::uint64_t file_bytes,
                           std::string_view name);
};

// Reads the header of a shard and checks the file size. kBadData if it is damaged.
ShardHeader read_shard_header(const std::filesystem::path& path);
// Reads the whole shard. kBadData if its hash is wrong or its document ends are out of order.
void verify_shard(const std::filesystem::path& path);

std::string shard_name(std::string_view split, std::uint64_t index);

// Collects the ids of a split and writes each shard as it fills up.
class ShardWriter {
 public:
  struct Settings {
    std::filesystem::path directory;
    std::string split;  // its name (splits.h)
    std::uint64_t vocab_size = 0;
    std::string fingerprint;
    std::uint64_t shard_bytes = 64 << 20;
  };
  // Continues after the valid shards in the directory; the first damaged shard and all later ones
  // are removed.
  ShardWriter(FileSystem& files, Settings settings);

  const SplitPosition& position() const { return position_; }
  // Adds the ids of one block or one document end; `after` is the split position after them. Writes
  // full shards.
  void add(std::span<const std::int32_t> ids, const SplitPosition& after);
  void finish();  // writes the last shard
  std::vector<std::filesystem::path> shards() const;

 private:
  void recover();
  void write_shard();
  int bytes_per_token() const { return settings_.vocab_size <= 65536 ? 2 : 4; }

  FileSystem& files_;
  Settings settings_;
  SplitPosition position_;
  std::uint64_t num_shards_ = 0;
  std::uint64_t num_pending_ = 0;  // tokens in content_
  std::string content_;            // of the next shard: space for the header, then ids
  std::vector<std::uint32_t> pending_ends_;
};

}  // namespace sluice::data
