#include "data/token_stream.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/text_format.h"
#include "data/shard.h"

namespace sluice::data {

namespace {

// Ids are little-endian on disk, as on every machine that this program is built for.
template <class Id>
std::uint32_t copy_ids(const std::byte* from, std::span<std::int32_t> out) {
  std::uint32_t largest = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    Id id = 0;
    std::memcpy(&id, from + i * sizeof(Id), sizeof(Id));
    out[i] = static_cast<std::int32_t>(id);
    largest = std::max<std::uint32_t>(largest, id);
  }
  return largest;
}

}  // namespace

TokenStream::TokenStream(const std::vector<std::filesystem::path>& shards) {
  for (const std::filesystem::path& path : shards) {
    Shard shard{.file = MappedFile(path), .name = path.string()};
    const auto bytes = shard.file.bytes();
    const ShardHeader header = ShardHeader::parse(bytes, bytes.size(), shard.name);
    shard.begin = num_tokens_;
    shard.count = header.num_tokens;
    shard.bytes_per_token = static_cast<int>(header.bytes_per_token);
    shard.vocab_size = header.vocab_size;
    num_tokens_ += header.num_tokens;
    shards_.push_back(std::move(shard));
  }
}

TokenStream::TokenStream(std::vector<std::int32_t> ids) : ids_(std::move(ids)), num_tokens_(ids_.size()) {}

void TokenStream::read(std::uint64_t begin, std::span<std::int32_t> out) const {
  invariant(begin <= num_tokens_ && out.size() <= num_tokens_ - begin, "reading outside the token stream");
  if (shards_.empty()) {
    std::copy_n(ids_.begin() + static_cast<std::ptrdiff_t>(begin), out.size(), out.begin());
    return;
  }
  auto shard = std::upper_bound(shards_.begin(), shards_.end(), begin, [](std::uint64_t at, const Shard& s) { return at < s.begin; });
  for (--shard; !out.empty(); ++shard) {
    const std::uint64_t skipped = begin - shard->begin;
    const auto here = out.first(std::min<std::uint64_t>(out.size(), shard->count - skipped));
    const std::byte* from = shard->file.bytes().data() + ShardHeader::kBytes + skipped * static_cast<std::uint64_t>(shard->bytes_per_token);
    const std::uint32_t largest = shard->bytes_per_token == 2 ? copy_ids<std::uint16_t>(from, here) : copy_ids<std::uint32_t>(from, here);
    if (!here.empty() && largest >= shard->vocab_size) {
      fail(ExitCode::kBadData, shard->name, cat("token id ", largest), cat("ids below ", shard->vocab_size, "; the shard is damaged"));
    }
    begin += here.size();
    out = out.subspan(here.size());
  }
}

void TokenStream::verify() const {
  for (const Shard& shard : shards_) verify_shard(shard.name);
}

}  // namespace sluice::data
