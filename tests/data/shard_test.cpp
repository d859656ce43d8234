#include "data/shard.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "base/file.h"
#include "tests/base/temporary_directory.h"
#include "tests/text/text_support.h"

namespace sluice::data {
namespace {

using sluice::testing::message_of;
using sluice::testing::TemporaryDirectory;
using sluice::testing::write_text;

const std::string kFingerprint(32, 'a');

class Shards : public ::testing::Test {
 protected:
  ShardWriter writer(std::uint64_t vocab_size, std::uint64_t shard_bytes = 1 << 20) {
    return ShardWriter(real_files(), {.directory = folder_.path(),
                                      .split = "train",
                                      .vocab_size = vocab_size,
                                      .fingerprint = kFingerprint,
                                      .shard_bytes = shard_bytes});
  }
  // Adds `count` items of random length to `to`, and their ids to all_.
  void add(ShardWriter& to, int count, std::int32_t vocab_size) {
    for (int i = 0; i < count; ++i) {
      std::vector<std::int32_t> ids(random_() % 50);
      for (auto& id : ids)
        id = static_cast<std::int32_t>(random_() % static_cast<std::uint64_t>(vocab_size));
      SplitPosition position = to.position();
      position.num_blocks += 2;
      position.counts.num_tokens += ids.size();
      position.inside_document = i % 2 == 0;
      to.add(ids, position);
      all_.insert(all_.end(), ids.begin(), ids.end());
    }
  }
  // Adds `count` documents of a few blocks, some without ids; each ends with `separators` ids. Adds
  // the document of each id to documents_.
  void add_documents(ShardWriter& to, int count, std::size_t separators) {
    for (int i = 0; i < count; ++i) {
      for (std::uint64_t block = 0, blocks = random_() % 4; block <= blocks; ++block) {
        const bool ends = block == blocks;
        const std::vector<std::int32_t> ids(ends ? separators : random_() % 9, 7);
        SplitPosition position = to.position();
        documents_.insert(documents_.end(), ids.size(),
                          static_cast<std::uint32_t>(position.counts.num_documents));
        position.num_blocks += ends ? 0 : 1;
        position.inside_document = !ends;
        position.counts.num_documents += ends ? 1 : 0;
        position.counts.num_tokens += ids.size();
        to.add(ids, position);
      }
    }
  }
  void expect_documents(const TokenStream& stream, std::uint64_t num_documents) {
    stream.verify();
    ASSERT_EQ(stream.num_tokens(), documents_.size());
    ASSERT_EQ(stream.num_documents(), num_documents);
    for (int i = 0; i < 50; ++i) {
      const std::uint64_t begin = random_() % (documents_.size() + 1),
                          count = random_() % (documents_.size() - begin + 1);
      std::vector<std::uint32_t> part(count);
      stream.documents(begin, part);
      ASSERT_TRUE(std::equal(part.begin(), part.end(),
                             documents_.begin() + static_cast<std::ptrdiff_t>(begin)));
    }
  }
  static void expect_documents_inside(const TokenStream& stream) {
    std::vector<std::uint32_t> documents(stream.num_tokens());
    try {
      stream.documents(0, documents);
      EXPECT_LT(*std::max_element(documents.begin(), documents.end()), stream.num_documents());
    } catch (const UserError& error) {
      EXPECT_EQ(error.code(), ExitCode::kBadData);
    }
  }
  std::filesystem::path one_shard() {
    ShardWriter to = writer(300);
    add(to, 20, 300);
    to.finish();
    return to.shards().at(0);
  }
  TemporaryDirectory folder_;
  std::mt19937_64 random_{4};
  std::vector<std::int32_t> all_;
  std::vector<std::uint32_t> documents_;
};

TEST_F(Shards, RoundTripInBothWidths) {
  for (const std::int32_t vocab_size : {1, 300, 65536, 65537, 1'000'000}) {
    all_.clear();
    const TemporaryDirectory folder;
    ShardWriter to(real_files(), {.directory = folder.path(),
                                  .split = "valid",
                                  .vocab_size = static_cast<std::uint64_t>(vocab_size),
                                  .fingerprint = kFingerprint,
                                  .shard_bytes = 1000});
    add(to, 200, vocab_size);
    to.finish();
    ASSERT_GT(to.shards().size(), 3U);
    EXPECT_EQ(to.shards()[1].filename(), "valid-00001.tokens");
    const TokenStream stream(to.shards());
    ASSERT_EQ(stream.num_tokens(), all_.size());
    stream.verify();
    std::vector<std::int32_t> found(all_.size());
    stream.read(0, found);
    EXPECT_EQ(found, all_);
    EXPECT_EQ(read_shard_header(to.shards()[0]).bytes_per_token, vocab_size <= 65536 ? 2U : 4U);
    for (int i = 0; i < 300; ++i) {
      const std::uint64_t begin = random_() % (all_.size() + 1),
                          count = random_() % (all_.size() - begin + 1);
      std::vector<std::int32_t> part(count);
      stream.read(begin, part);
      ASSERT_TRUE(
          std::equal(part.begin(), part.end(), all_.begin() + static_cast<std::ptrdiff_t>(begin)));
    }
  }
}

// The layout documented in shard.h, byte by byte.
TEST_F(Shards, LayoutMatchesTheDocumentation) {
  ShardWriter to = writer(300);
  to.add(
      std::vector<std::int32_t>{1, 258},
      {.num_blocks = 8, .inside_document = false, .counts = {.num_documents = 1, .num_tokens = 2}});
  to.add(
      std::vector<std::int32_t>{7},
      {.num_blocks = 9,
       .inside_document = true,
       .counts = {
           .num_documents = 1, .num_bytes = 5, .num_words = 6, .num_tokens = 3, .num_unknown = 2}});
  to.finish();
  const std::string bytes = read_file(to.shards().at(0));
  ASSERT_EQ(bytes.size(), 138U);
  EXPECT_EQ(bytes.substr(0, 8), "SLUICTOK");
  const auto byte_at = [&](std::size_t at) {
    return static_cast<int>(static_cast<unsigned char>(bytes[at]));
  };
  const std::pair<std::size_t, int> expected[] = {
      {8, 2},   {12, 2},  {16, 3},  {40, 300 % 256}, {41, 1},  {48, 0},  {56, 9},  {64, 1},
      {72, 5},  {80, 6},  {88, 3},  {96, 2},         {104, 1}, {108, 1}, {128, 1}, {129, 0},
      {130, 2}, {131, 1}, {132, 7}, {133, 0},        {134, 2}, {135, 0}, {136, 0}, {137, 0}};
  for (const auto& [at, value] : expected) EXPECT_EQ(byte_at(at), value) << at;
}

// For any separator and any position where a shard ends: at the end of a document, inside one,
// after one without tokens.
TEST_F(Shards, MapEveryTokenToItsDocument) {
  for (const std::uint64_t shard_bytes : {132, 200, 1 << 20}) {
    for (const auto& [separators, vocab_size] : {std::pair{0, 300}, {1, 300}, {0, 70'000}}) {
      documents_.clear();
      const TemporaryDirectory folder;
      ShardWriter to(real_files(), {.directory = folder.path(),
                                    .split = "valid",
                                    .vocab_size = static_cast<std::uint64_t>(vocab_size),
                                    .fingerprint = kFingerprint,
                                    .shard_bytes = shard_bytes});
      add_documents(to, 30, static_cast<std::size_t>(separators));
      to.finish();
      EXPECT_EQ(read_shard_header(to.shards().back()).end, to.position())
          << "a document end is missing from the shards";
      expect_documents(TokenStream(to.shards()), 30);
    }
  }
}

TEST_F(Shards, DetectEveryFlippedBitOfTheHeader) {
  const auto path = one_shard();
  const std::string good = read_file(path);
  for (std::size_t at = 0; at < ShardHeader::kBytes; ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = good;
      bad[at] ^= static_cast<char>(1 << bit);
      write_text(path, bad);
      message_of(ExitCode::kBadData, [&] { TokenStream{{path}}; });
    }
  }
}

// Headers with a valid hash but false numbers, as an attacker could write them.
TEST_F(Shards, RejectForgedHeaders) {
  const auto path = one_shard();
  const std::string good = read_file(path);
  const ShardHeader header = read_shard_header(path);
  const auto refuse = [&](ShardHeader forged) {
    const auto bytes = forged.serialize();
    write_text(path, std::string(bytes.data(), bytes.size()) + good.substr(ShardHeader::kBytes));
    message_of(ExitCode::kBadData, [&] { TokenStream{{path}}; });
  };
  for (const std::uint64_t count :
       {std::uint64_t{0}, header.num_tokens - 1, header.num_tokens + 1, ~std::uint64_t{0},
        std::uint64_t{1} << 63, (std::uint64_t{1} << 63) + header.num_tokens}) {
    ShardHeader forged = header;
    forged.num_tokens = count;
    refuse(forged);
  }
  for (const std::uint32_t width : {0U, 1U, 3U, 4U, 8U, ~0U}) {
    ShardHeader forged = header;
    forged.bytes_per_token = width;
    refuse(forged);
  }
  for (const std::uint64_t vocab_size : {std::uint64_t{0}, ~std::uint64_t{0}}) {
    ShardHeader forged = header;
    forged.vocab_size = vocab_size;
    refuse(forged);
  }
}

// Document ends that are wrong in number, in the sums, or in order.
TEST_F(Shards, RejectForgedDocumentEnds) {
  ShardWriter to = writer(300);
  add_documents(to, 12, 1);
  to.finish();
  const auto path = to.shards().at(0);
  const std::string good = read_file(path);
  const ShardHeader header = read_shard_header(path);
  ASSERT_GT(header.num_document_ends, 3U);
  const auto write = [&](const ShardHeader& forged, const std::string& payload) {
    const auto bytes = forged.serialize();
    write_text(path, std::string(bytes.data(), bytes.size()) + payload);
  };
  const std::string payload = good.substr(ShardHeader::kBytes);
  for (const std::uint32_t count :
       {0U, header.num_document_ends - 1, header.num_document_ends + 1, ~0U}) {
    ShardHeader forged = header;
    forged.num_document_ends = count;
    write(forged, payload);
    message_of(ExitCode::kBadData, [&] { TokenStream{{path}}; });
  }
  ShardHeader forged = header;
  forged.end.counts.num_documents += 1;
  write(forged, payload);
  message_of(ExitCode::kBadData, [&] { TokenStream{{path}}; });
  std::string swapped = payload;
  // The last end and the one two before it.
  std::swap_ranges(swapped.end() - 4, swapped.end(), swapped.end() - 12);
  forged = header;
  forged.payload_hash = hash_of(swapped);
  write(forged, swapped);
  message_of(ExitCode::kBadData, [&] { verify_shard(path); });
  expect_documents_inside(TokenStream({path}));
  std::string far = payload;
  far.back() = '\x7F';
  forged.payload_hash = hash_of(far);
  write(forged, far);
  message_of(ExitCode::kBadData, [&] { verify_shard(path); });
  expect_documents_inside(TokenStream({path}));
}

TEST_F(Shards, RejectTokensAfterTheLastDocument) {
  ShardWriter to = writer(300);
  to.add(
      std::vector<std::int32_t>{1, 2},
      {.num_blocks = 1, .inside_document = false, .counts = {.num_documents = 1, .num_tokens = 2}});
  to.add(
      std::vector<std::int32_t>{3},
      {.num_blocks = 2, .inside_document = false, .counts = {.num_documents = 1, .num_tokens = 3}});
  to.finish();
  const TokenStream stream(to.shards());
  std::vector<std::uint32_t> documents(2);
  stream.documents(0, documents);
  EXPECT_EQ(documents, (std::vector<std::uint32_t>{0, 0}));
  message_of(ExitCode::kBadData, [&] { stream.documents(1, documents); });
}

// A shard of an older format is never read as a current one, and preparation starts over.
TEST_F(Shards, RejectOlderFormats) {
  const auto path = one_shard();
  std::string old = read_file(path);
  old[8] = 1;
  const std::uint64_t hash = hash_of(std::string_view(old).substr(0, ShardHeader::kBytes - 8)).low;
  for (std::size_t i = 0; i < 8; ++i)
    old[ShardHeader::kBytes - 8 + i] = static_cast<char>(hash >> (8 * i) & 0xFF);
  write_text(path, old);
  const std::string message = message_of(ExitCode::kBadData, [&] { TokenStream{{path}}; });
  EXPECT_NE(message.find("shard format 1"), std::string::npos) << message;
  EXPECT_EQ(writer(300).shards().size(), 0U);
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(Shards, DetectEveryTruncationAndAddition) {
  const auto path = one_shard();
  const std::string good = read_file(path);
  for (std::size_t size = 0; size < good.size(); size += 1 + size / 40) {
    write_text(path, good.substr(0, size));
    message_of(ExitCode::kBadData, [&] { TokenStream{{path}}; });
  }
  write_text(path, good + "x");
  message_of(ExitCode::kBadData, [&] { TokenStream{{path}}; });
}

TEST_F(Shards, DamagedIdsFailVerifyAndStayInTheVocabulary) {
  const auto path = one_shard();
  const std::string good = read_file(path);
  for (std::size_t at = ShardHeader::kBytes; at < good.size(); at += 3) {
    std::string bad = good;
    bad[at] ^= 0x40;
    write_text(path, bad);
    const TokenStream stream({path});
    message_of(ExitCode::kBadData, [&] { stream.verify(); });
    std::vector<std::int32_t> ids(stream.num_tokens());
    try {
      stream.read(0, ids);
      EXPECT_LT(*std::max_element(ids.begin(), ids.end()), 300);
    } catch (const UserError& error) {
      EXPECT_EQ(error.code(), ExitCode::kBadData);
    }
  }
}

TEST_F(Shards, ContinueAfterValidShardsAndDropTheRest) {
  ShardWriter first = writer(300, 500);
  add(first, 100, 300);
  const std::size_t num_whole = first.shards().size();
  ASSERT_GT(num_whole, 3U);  // killed before finish()
  {
    const ShardWriter second = writer(300, 500);
    EXPECT_EQ(second.shards().size(), num_whole);
    EXPECT_EQ(second.position(), read_shard_header(first.shards().back()).end);
  }
  std::string damaged = read_file(first.shards()[2]);
  damaged.back() ^= 1;
  write_text(first.shards()[2], damaged);
  const ShardWriter third = writer(300, 500);
  EXPECT_EQ(third.shards().size(), 2U);
  EXPECT_EQ(third.position(), read_shard_header(first.shards()[1]).end);
  EXPECT_FALSE(std::filesystem::exists(first.shards()[2]));
  EXPECT_FALSE(std::filesystem::exists(first.shards()[3]));
}

TEST_F(Shards, RejectInvalidArguments) {
  ShardWriter to = writer(300);
  EXPECT_THROW(to.add(std::vector<std::int32_t>{300}, {}), InvariantError);
  EXPECT_THROW(to.add(std::vector<std::int32_t>{-1}, {}), InvariantError);
  const TokenStream stream(std::vector<std::int32_t>{1, 2, 3});
  std::vector<std::int32_t> out(3);
  EXPECT_THROW(stream.read(1, out), InvariantError);
  EXPECT_THROW(stream.read(~std::uint64_t{0}, out), InvariantError);
  std::vector<std::uint32_t> documents(3);
  EXPECT_THROW(stream.documents(1, documents), InvariantError);
  EXPECT_EQ(stream.num_documents(), 1U);
  EXPECT_THROW(TokenStream({1, 2, 3}, {2, 1}), InvariantError);
  EXPECT_THROW(TokenStream({1, 2, 3}, {4}), InvariantError);
  EXPECT_THROW(to.add({}, {.counts = {.num_documents = 2}}), InvariantError);
  message_of(ExitCode::kMissingInput, [&] { TokenStream{{folder_ / "no.tokens"}}; });
}

}  // namespace
}  // namespace sluice::data
