#include "base/hash.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

struct Vector {
  std::string_view text;
  std::string_view hex;
};

// XXH3-128 with seed 0, computed by `xxhsum -H2`.
constexpr Vector kVectors[] = {
    {"", "99aa06d3014798d86001c324468d497f"},
    {"a", "a96faf705af16834e6c632b61e964e1f"},
    {"abc", "06b05ab6733a618578af5f94892f3950"},
};

class HashVectors : public ::testing::TestWithParam<Vector> {};

TEST_P(HashVectors, WholeAndByteByByte) {
  EXPECT_EQ(hash_of(GetParam().text).hex(), GetParam().hex);
  Hasher hasher;
  for (const char c : GetParam().text) hasher.update(std::string_view(&c, 1));
  EXPECT_EQ(hasher.digest().hex(), GetParam().hex);
}
INSTANTIATE_TEST_SUITE_P(Published, HashVectors, ::testing::ValuesIn(kVectors),
                         [](const auto& row) {
                           return "bytes" + std::to_string(row.param.text.size());
                         });

TEST(Hash, IncrementalUpdatesEqualTheWhole) {
  std::string text(5000, '\0');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 31 >> 3);
  const std::string_view whole = text;
  for (const std::size_t cut : {0UL, 1UL, 240UL, 1024UL, 4999UL, 5000UL}) {
    Hasher hasher;
    hasher.update(whole.substr(0, cut)).update(whole.substr(cut));
    EXPECT_EQ(hasher.digest(), hash_of(whole)) << cut;
  }
}

TEST(Hash, DigestDoesNotEndTheStream) {
  Hasher hasher;
  hasher.update("ab");
  EXPECT_EQ(hasher.digest(), hash_of("ab"));
  EXPECT_EQ(hasher.update("c").digest(), hash_of("abc"));
}

TEST(Hash, NumbersAreEightLittleEndianBytes) {
  Hasher hasher;
  hasher.update_number(0x0807060504030201);
  EXPECT_EQ(hasher.digest(), hash_of("\x01\x02\x03\x04\x05\x06\x07\x08"));
}

TEST(Hash, EveryBitMatters) {
  std::string text(64, 'x');
  const Hash128 before = hash_of(text);
  for (std::size_t bit = 0; bit < text.size() * 8; ++bit) {
    text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << bit % 8));
    EXPECT_NE(hash_of(text), before) << bit;
    text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << bit % 8));
  }
}

TEST(Hash, HexKeepsLeadingZeros) {
  EXPECT_EQ((Hash128{.high = 1, .low = 0xab}.hex()), "000000000000000100000000000000ab");
}

}  // namespace
}  // namespace sluice
