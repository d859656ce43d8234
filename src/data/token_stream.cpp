#include "data/token_stream.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/text_format.h"
#include "data/shard.h"

namespace sluice::data {

namespace {

// Ids are little-endian on disk, as on every supported machine.
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
  bool inside_document = false;
  for (const std::filesystem::path& path : shards) {
    Shard shard{.file = MappedFile(path), .name = path.string()};
    const auto bytes = shard.file.bytes();
    const ShardHeader header = ShardHeader::parse(bytes, bytes.size(), shard.name);
    shard.begin = num_tokens_;
    shard.count = header.num_tokens;
    shard.bytes_per_token = static_cast<int>(header.bytes_per_token);
    shard.vocab_size = header.vocab_size;
    shard.first_document = num_documents_;
    shard.num_ends = header.num_document_ends;
    num_tokens_ += header.num_tokens;
    num_documents_ += header.num_document_ends;
    require(header.end.counts.num_documents == num_documents_, ExitCode::kBadData, shard.name,
            "a wrong number of documents", "intact shards of one split");
    inside_document = header.end.inside_document;
    shards_.push_back(std::move(shard));
  }
  if (inside_document) num_documents_ += 1;
}

TokenStream::TokenStream(std::vector<std::int32_t> ids) : TokenStream(std::move(ids), {}) {}

TokenStream::TokenStream(std::vector<std::int32_t> ids, std::vector<std::uint64_t> document_ends)
    : ids_(std::move(ids)), ends_(std::move(document_ends)), num_tokens_(ids_.size()) {
  const std::uint64_t last = ends_.empty() ? 0 : ends_.back();
  invariant(std::is_sorted(ends_.begin(), ends_.end()) && last <= num_tokens_,
            "document ends out of order");
  num_documents_ = ends_.size() + (last < num_tokens_ ? 1 : 0);
}

std::uint32_t TokenStream::Shard::end_at(std::uint64_t index) const {
  const std::uint64_t ids_bytes = count * static_cast<std::uint64_t>(bytes_per_token);
  std::uint32_t end = 0;
  std::memcpy(&end, file.bytes().data() + ShardHeader::kBytes + ids_bytes + index * sizeof(end),
              sizeof(end));
  return end;
}

void TokenStream::check_range(std::uint64_t begin, std::uint64_t count) const {
  invariant(begin <= num_tokens_ && count <= num_tokens_ - begin, "range outside the token stream");
}

template <class Out, class Each>
void TokenStream::each_part(std::uint64_t begin, std::span<Out> out, const Each& each) const {
  auto shard = std::upper_bound(shards_.begin(), shards_.end(), begin,
                                [](std::uint64_t at, const Shard& s) { return at < s.begin; });
  for (--shard; !out.empty(); ++shard) {
    const std::uint64_t skipped = begin - shard->begin;
    const auto here = out.first(std::min<std::uint64_t>(out.size(), shard->count - skipped));
    if (!here.empty()) each(*shard, skipped, here);
    begin += here.size();
    out = out.subspan(here.size());
  }
}

void TokenStream::read(std::uint64_t begin, std::span<std::int32_t> out) const {
  check_range(begin, out.size());
  if (shards_.empty()) {
    std::copy_n(ids_.begin() + static_cast<std::ptrdiff_t>(begin), out.size(), out.begin());
    return;
  }
  each_part(begin, out,
            [](const Shard& shard, std::uint64_t skipped, std::span<std::int32_t> here) {
              const std::byte* from = shard.file.bytes().data() + ShardHeader::kBytes +
                                      skipped * static_cast<std::uint64_t>(shard.bytes_per_token);
              const std::uint32_t largest = shard.bytes_per_token == 2
                                                ? copy_ids<std::uint16_t>(from, here)
                                                : copy_ids<std::uint32_t>(from, here);
              if (largest >= shard.vocab_size) {
                fail(ExitCode::kBadData, shard.name, cat("token id ", largest),
                     cat("an id below ", shard.vocab_size, " in an intact shard"));
              }
            });
}

void TokenStream::documents(std::uint64_t begin, std::span<std::uint32_t> out) const {
  check_range(begin, out.size());
  invariant(num_documents_ < ~std::uint32_t{0}, "more documents than 32 bits can number");
  if (shards_.empty()) {
    auto end = std::upper_bound(ends_.begin(), ends_.end(), begin);
    for (std::uint32_t& document : out) {
      while (end != ends_.end() && *end <= begin) ++end;
      document = static_cast<std::uint32_t>(end - ends_.begin());
      begin += 1;
    }
    return;
  }
  each_part(begin, out,
            [this](const Shard& shard, std::uint64_t skipped, std::span<std::uint32_t> here) {
              // The first end after the token: by binary search, then linearly.
              std::uint64_t next = 0;
              for (std::uint64_t limit = shard.num_ends; next < limit;) {
                const std::uint64_t middle = next + (limit - next) / 2;
                if (shard.end_at(middle) <= skipped) {
                  next = middle + 1;
                } else {
                  limit = middle;
                }
              }
              for (std::uint32_t& document : here) {
                while (next < shard.num_ends && shard.end_at(next) <= skipped) ++next;
                document = static_cast<std::uint32_t>(shard.first_document + next);
                skipped += 1;
              }
              const bool known = here.back() < num_documents_;
              require(known, ExitCode::kBadData, shard.name, "tokens after the last document",
                      "an intact token shard");
            });
}

void TokenStream::verify() const {
  for (const Shard& shard : shards_) verify_shard(shard.name);
}

}  // namespace sluice::data
