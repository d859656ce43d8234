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
    return ShardWriter(
        real_files(),
        {.directory = folder_.path(), .split = "train", .vocab_size = vocab_size, .fingerprint = kFingerprint, .shard_bytes = shard_bytes});
  }
  // Adds `count` items of random length to `to`, and their ids to all_.
  void add(ShardWriter& to, int count, std::int32_t vocab_size) {
    for (int i = 0; i < count; ++i) {
      std::vector<std::int32_t> ids(random_() % 50);
      for (auto& id : ids) id = static_cast<std::int32_t>(random_() % static_cast<std::uint64_t>(vocab_size));
      SplitPosition position = to.position();
      position.num_blocks += 2;
      position.counts.num_tokens += ids.size();
      position.inside_document = i % 2 == 0;
      to.add(ids, position);
      all_.insert(all_.end(), ids.begin(), ids.end());
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
};

TEST_F(Shards, WrittenAndReadInBothWidths) {
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
      const std::uint64_t begin = random_() % (all_.size() + 1), count = random_() % (all_.size() - begin + 1);
      std::vector<std::int32_t> part(count);
      stream.read(begin, part);
      ASSERT_TRUE(std::equal(part.begin(), part.end(), all_.begin() + static_cast<std::ptrdiff_t>(begin)));
    }
  }
}

// The layout that shard.h documents, byte by byte.
TEST_F(Shards, LayoutIsAsDocumented) {
  ShardWriter to = writer(300);
  to.add(std::vector<std::int32_t>{1, 258}, {.num_blocks = 8, .inside_document = false, .counts = {.num_documents = 1, .num_tokens = 2}});
  to.add(std::vector<std::int32_t>{7}, {.num_blocks = 9,
                                        .inside_document = true,
                                        .counts = {.num_documents = 1, .num_bytes = 5, .num_words = 6, .num_tokens = 3, .num_unknown = 2}});
  to.finish();
  const std::string bytes = read_file(to.shards().at(0));
  ASSERT_EQ(bytes.size(), 138U);
  EXPECT_EQ(bytes.substr(0, 8), "SLUICTOK");
  const auto byte_at = [&](std::size_t at) { return static_cast<int>(static_cast<unsigned char>(bytes[at])); };
  const std::pair<std::size_t, int> expected[] = {{8, 2},   {12, 2},  {16, 3},  {40, 300 % 256}, {41, 1},  {48, 0},  {56, 9},  {64, 1},
                                                  {72, 5},  {80, 6},  {88, 3},  {96, 2},         {104, 1}, {108, 1}, {128, 1}, {129, 0},
                                                  {130, 2}, {131, 1}, {132, 7}, {133, 0},        {134, 2}, {135, 0}, {136, 0}, {137, 0}};
  for (const auto& [at, value] : expected) EXPECT_EQ(byte_at(at), value) << at;
}

TEST_F(Shards, EveryChangedByteOfTheHeaderIsNoticed) {
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

// Headers whose own hash fits, as an attacker would make them, but whose numbers lie.
TEST_F(Shards, LyingHeadersAreRefused) {
  const auto path = one_shard();
  const std::string good = read_file(path);
  const ShardHeader header = read_shard_header(path);
  const auto refuse = [&](ShardHeader lying) {
    const auto bytes = lying.serialize();
    write_text(path, std::string(bytes.data(), bytes.size()) + good.substr(ShardHeader::kBytes));
    message_of(ExitCode::kBadData, [&] { TokenStream{{path}}; });
  };
  for (const std::uint64_t count : {std::uint64_t{0}, header.num_tokens - 1, header.num_tokens + 1, ~std::uint64_t{0},
                                    std::uint64_t{1} << 63, (std::uint64_t{1} << 63) + header.num_tokens}) {
    ShardHeader lying = header;
    lying.num_tokens = count;
    refuse(lying);
  }
  for (const std::uint32_t width : {0U, 1U, 3U, 4U, 8U, ~0U}) {
    ShardHeader lying = header;
    lying.bytes_per_token = width;
    refuse(lying);
  }
  for (const std::uint64_t vocab_size : {std::uint64_t{0}, ~std::uint64_t{0}}) {
    ShardHeader lying = header;
    lying.vocab_size = vocab_size;
    refuse(lying);
  }
}

TEST_F(Shards, EveryTruncationAndAddition) {
  const auto path = one_shard();
  const std::string good = read_file(path);
  for (std::size_t size = 0; size < good.size(); size += 1 + size / 40) {
    write_text(path, good.substr(0, size));
    message_of(ExitCode::kBadData, [&] { TokenStream{{path}}; });
  }
  write_text(path, good + "x");
  message_of(ExitCode::kBadData, [&] { TokenStream{{path}}; });
}

TEST_F(Shards, DamagedIdsFailVerifyAndNeverLeaveTheVocabulary) {
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

TEST_F(Shards, GoesOnBehindWholeShardsAndDropsTheRest) {
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

TEST_F(Shards, WrongUse) {
  ShardWriter to = writer(300);
  EXPECT_THROW(to.add(std::vector<std::int32_t>{300}, {}), InvariantError);
  EXPECT_THROW(to.add(std::vector<std::int32_t>{-1}, {}), InvariantError);
  const TokenStream stream(std::vector<std::int32_t>{1, 2, 3});
  std::vector<std::int32_t> out(3);
  EXPECT_THROW(stream.read(1, out), InvariantError);
  EXPECT_THROW(stream.read(~std::uint64_t{0}, out), InvariantError);
  message_of(ExitCode::kMissingInput, [&] { TokenStream{{folder_ / "no.tokens"}}; });
}

}  // namespace
}  // namespace sluice::data
