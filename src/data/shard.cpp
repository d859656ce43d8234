#include "data/shard.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/file.h"
#include "base/text_format.h"

namespace sluice::data {

namespace {

constexpr std::string_view kMagic = "SLUICTOK";
constexpr std::uint64_t kEndBytes = 4;
constexpr std::string_view kExpectedShard =
    "an intact token shard; remove its folder to prepare the data again";

// Writes little-endian numbers to a fixed block.
class Writer {
 public:
  explicit Writer(std::span<char> out) : out_(out) {}
  Writer& put(std::uint64_t value, std::size_t num_bytes) {
    for (std::size_t i = 0; i < num_bytes; ++i)
      out_[at_++] = static_cast<char>(value >> (8 * i) & 0xFF);
    return *this;
  }

 private:
  std::span<char> out_;
  std::size_t at_ = 0;
};

class Reader {
 public:
  explicit Reader(std::span<const std::byte> in) : in_(in) {}
  std::uint64_t take(std::size_t num_bytes) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < num_bytes; ++i)
      value |= static_cast<std::uint64_t>(in_[at_ + i]) << (8 * i);
    at_ += num_bytes;
    return value;
  }

 private:
  std::span<const std::byte> in_;
  std::size_t at_ = 0;
};

std::uint64_t magic_number() { return Reader(std::as_bytes(std::span(kMagic))).take(8); }

std::uint64_t hash_of_fingerprint(std::string_view fingerprint) { return hash_of(fingerprint).low; }

}  // namespace

std::array<char, ShardHeader::kBytes> ShardHeader::serialize() const {
  std::array<char, kBytes> out{};
  const SplitCounts& counts = end.counts;
  Writer writer(out);
  writer.put(magic_number(), 8).put(kVersion, 4).put(bytes_per_token, 4).put(num_tokens, 8);
  writer.put(payload_hash.high, 8).put(payload_hash.low, 8).put(vocab_size, 8).put(index, 8);
  writer.put(end.num_blocks, 8)
      .put(counts.num_documents, 8)
      .put(counts.num_bytes, 8)
      .put(counts.num_words, 8);
  writer.put(counts.num_tokens, 8)
      .put(counts.num_unknown, 8)
      .put(end.inside_document ? 1 : 0, 4)
      .put(num_document_ends, 4);
  writer.put(fingerprint_hash, 8);
  writer.put(hash_of(std::string_view(out.data(), kBytes - 8)).low, 8);
  return out;
}

ShardHeader ShardHeader::parse(std::span<const std::byte> bytes, std::uint64_t file_bytes,
                               std::string_view name) {
  const auto check = [&](bool ok, std::string_view received) {
    require(ok, ExitCode::kBadData, name, received, kExpectedShard);
  };
  check(bytes.size() >= kBytes && file_bytes >= kBytes, "a file shorter than a shard header");
  Reader reader(bytes);
  check(reader.take(8) == magic_number(), "a file of another format");
  const std::uint64_t version = reader.take(4);
  if (version != kVersion) check(false, cat("shard format ", version));
  check(hash_of(bytes.first(kBytes - 8)).low == Reader(bytes.subspan(kBytes - 8)).take(8),
        "a damaged header");
  ShardHeader header;
  header.bytes_per_token = static_cast<std::uint32_t>(reader.take(4));
  header.num_tokens = reader.take(8);
  header.payload_hash.high = reader.take(8);
  header.payload_hash.low = reader.take(8);
  header.vocab_size = reader.take(8);
  header.index = reader.take(8);
  header.end.num_blocks = reader.take(8);
  header.end.counts = {.num_documents = reader.take(8),
                       .num_bytes = reader.take(8),
                       .num_words = reader.take(8),
                       .num_tokens = reader.take(8),
                       .num_unknown = reader.take(8)};
  header.end.inside_document = reader.take(4) != 0;
  header.num_document_ends = static_cast<std::uint32_t>(reader.take(4));
  header.fingerprint_hash = reader.take(8);
  check(header.bytes_per_token == 2 || header.bytes_per_token == 4, "an invalid token width");
  check(header.vocab_size > 0 && header.vocab_size <= std::uint64_t{1} << 31,
        "an invalid vocabulary size");
  const std::uint64_t payload = file_bytes - kBytes, ends = kEndBytes * header.num_document_ends;
  const std::uint64_t ids = payload - std::min(ends, payload);
  if (ends > payload || header.num_tokens != ids / header.bytes_per_token ||
      ids % header.bytes_per_token != 0) {
    check(false,
          cat(payload, " bytes after the header instead of ", header.num_tokens, " ids of ",
              header.bytes_per_token, " bytes and ", header.num_document_ends, " document ends"));
  }
  return header;
}

ShardHeader read_shard_header(const std::filesystem::path& path) {
  const MappedFile file(path);
  return ShardHeader::parse(file.bytes().first(std::min(file.bytes().size(), ShardHeader::kBytes)),
                            file.bytes().size(), path.string());
}

void verify_shard(const std::filesystem::path& path) {
  const MappedFile file(path);
  const ShardHeader header = ShardHeader::parse(file.bytes(), file.bytes().size(), path.string());
  const bool same = hash_of(file.bytes().subspan(ShardHeader::kBytes)) == header.payload_hash;
  require(same, ExitCode::kBadData, path.string(), cat("hash mismatch; expected ", kExpectedShard));
  Reader ends(
      file.bytes().subspan(ShardHeader::kBytes + header.num_tokens * header.bytes_per_token));
  for (std::uint64_t i = 0, before = 0; i < header.num_document_ends; ++i) {
    const std::uint64_t end = ends.take(kEndBytes);
    require(end >= before && end <= header.num_tokens, ExitCode::kBadData, path.string(),
            "document ends out of order", kExpectedShard);
    before = end;
  }
}

std::string shard_name(std::string_view split, std::uint64_t index) {
  std::string number = cat(index);
  if (number.size() < 5) number.insert(0, 5 - number.size(), '0');
  return cat(split, "-", number, ".tokens");
}

ShardWriter::ShardWriter(FileSystem& files, Settings settings)
    : files_(files), settings_(std::move(settings)) {
  content_.assign(ShardHeader::kBytes, '\0');
  recover();
}

void ShardWriter::recover() {
  for (;; ++num_shards_) {
    const auto path = settings_.directory / shard_name(settings_.split, num_shards_);
    if (!std::filesystem::exists(path)) break;
    try {
      verify_shard(path);
      const ShardHeader header = read_shard_header(path);
      const bool ours = header.index == num_shards_ && header.vocab_size == settings_.vocab_size &&
                        header.fingerprint_hash == hash_of_fingerprint(settings_.fingerprint);
      if (!ours) break;
      position_ = header.end;
    } catch (const UserError& error) {
      if (error.code() != ExitCode::kBadData) throw;
      break;
    }
  }
  for (std::uint64_t index = num_shards_;; ++index) {
    const auto path = settings_.directory / shard_name(settings_.split, index);
    if (!std::filesystem::exists(path)) break;
    files_.remove_all(path);
  }
}

void ShardWriter::add(std::span<const std::int32_t> ids, const SplitPosition& after) {
  // Deferred until the next ids, so that a document end without ids (separator: none) is stored in
  // the shard of the document's last token.
  if (!ids.empty() && content_.size() >= settings_.shard_bytes) write_shard();
  const std::size_t width = static_cast<std::size_t>(bytes_per_token());
  std::size_t at = content_.size();
  content_.resize(at + ids.size() * width);
  for (const std::int32_t id : ids) {
    const auto value = static_cast<std::uint32_t>(id);
    invariant(value < settings_.vocab_size, "token id outside the vocabulary");
    for (std::size_t i = 0; i < width; ++i)
      content_[at++] = static_cast<char>(value >> (8 * i) & 0xFF);
  }
  num_pending_ += ids.size();
  const std::uint64_t num_ended = after.counts.num_documents - position_.counts.num_documents;
  invariant(num_ended <= 1 && num_pending_ <= ~std::uint32_t{0},
            "more document ends or tokens than a shard can hold");
  if (num_ended == 1) pending_ends_.push_back(static_cast<std::uint32_t>(num_pending_));
  position_ = after;
}

void ShardWriter::write_shard() {
  std::size_t at = content_.size();
  content_.resize(at + pending_ends_.size() * kEndBytes);
  for (const std::uint32_t end : pending_ends_) {
    Writer(std::span(content_).subspan(at, kEndBytes)).put(end, kEndBytes);
    at += kEndBytes;
  }
  ShardHeader header;
  header.bytes_per_token = static_cast<std::uint32_t>(bytes_per_token());
  header.num_document_ends = static_cast<std::uint32_t>(pending_ends_.size());
  header.num_tokens = num_pending_;
  header.payload_hash = hash_of(std::string_view(content_).substr(ShardHeader::kBytes));
  header.vocab_size = settings_.vocab_size;
  header.index = num_shards_;
  header.end = position_;
  header.fingerprint_hash = hash_of_fingerprint(settings_.fingerprint);
  const auto bytes = header.serialize();
  std::memcpy(content_.data(), bytes.data(), bytes.size());
  files_.write_atomically(settings_.directory / shard_name(settings_.split, num_shards_), content_);
  content_.resize(ShardHeader::kBytes);
  pending_ends_.clear();
  num_pending_ = 0;
  num_shards_ += 1;
}

void ShardWriter::finish() {
  if (num_pending_ > 0) write_shard();
}

std::vector<std::filesystem::path> ShardWriter::shards() const {
  std::vector<std::filesystem::path> paths;
  for (std::uint64_t index = 0; index < num_shards_; ++index) {
    paths.push_back(settings_.directory / shard_name(settings_.split, index));
  }
  return paths;
}

}  // namespace sluice::data
