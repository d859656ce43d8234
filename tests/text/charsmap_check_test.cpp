#include "text/charsmap_check.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

namespace sluice::text {
namespace {

std::string number(std::uint32_t value) {
  std::string out;
  for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>(value >> shift & 0xFF);
  return out;
}

std::string table_of(const std::vector<std::uint32_t>& units, std::string_view replacements) {
  std::string out = number(static_cast<std::uint32_t>(units.size() * 4));
  for (const std::uint32_t unit : units) out += number(unit);
  return out + std::string(replacements);
}

constexpr std::uint32_t kHasLeaf = 1 << 8, kShifted = 1 << 9, kValue = 1U << 31;
constexpr std::uint32_t offset(std::uint32_t value) { return value << 10; }

// "a" -> replacement 0, "ab" -> replacement 2. Root's children start at 256, those of "a" at 512,
// those of "ab" at 768.
std::vector<std::uint32_t> two_rules() {
  // a label that matches only at the position of byte 255
  std::vector<std::uint32_t> units(1024, 0xFF);
  units[0] = offset(256);
  const std::uint32_t a = 256 ^ 'a';
  units[a] = offset(a ^ 512) | kHasLeaf | 'a';
  units[512] = kValue | 0;
  const std::uint32_t ab = 512 ^ 'b';
  units[ab] = offset(ab ^ 768) | kHasLeaf | 'b';
  units[768] = kValue | 2;
  for (const std::uint32_t base : {256U, 512U, 768U}) units[base ^ 0xFF] = 0;
  return units;
}
const std::string_view kReplacements("x\0yz\0", 5);

TEST(Charsmap, AcceptsValidTables) {
  EXPECT_EQ(fault_of_charsmap(table_of(two_rules(), kReplacements)), "");
}

TEST(Charsmap, RejectsWrongSizes) {
  const std::string good = table_of(two_rules(), kReplacements);
  for (const std::size_t size : {0, 3, 4, 100, 4096})
    EXPECT_NE(fault_of_charsmap(std::string_view(good).substr(0, size)), "") << size;
  EXPECT_NE(fault_of_charsmap(table_of({}, kReplacements)), "");
  EXPECT_NE(fault_of_charsmap(number(6) + std::string(20, '\0')), "");
}

TEST(Charsmap, RejectsInvalidReplacements) {
  EXPECT_NE(fault_of_charsmap(table_of(two_rules(), "x")), "");
  EXPECT_NE(fault_of_charsmap(table_of(two_rules(), std::string_view("\xFF\0yz\0", 5))), "");
  auto units = two_rules();
  units[768] = kValue | 5;
  EXPECT_NE(fault_of_charsmap(table_of(units, kReplacements)), "");
}

TEST(Charsmap, RejectsOutOfRangeOffsets) {
  auto units = two_rules();
  units[512 ^ 'b'] = offset(0x1FFFFF) | 'b';
  EXPECT_NE(fault_of_charsmap(table_of(units, kReplacements)), "");
  units = two_rules();
  units[0] = offset(4) | kShifted;  // 4 << 8: just past the end
  EXPECT_NE(fault_of_charsmap(table_of(units, kReplacements)), "");
}

TEST(Charsmap, RejectsCycles) {
  auto units = two_rules();
  const std::uint32_t ab = 512 ^ 'b';
  units[ab] = offset(ab ^ 512) | 'b';  // "abbbb…" without end
  EXPECT_NE(fault_of_charsmap(table_of(units, kReplacements)), "");
}

// The library's array has 32 elements for the matches along one path; more would overflow it.
TEST(Charsmap, RejectsTooManyRulesOnOnePath) {
  for (const std::uint32_t depth : {32U, 33U}) {
    std::vector<std::uint32_t> units(256 * (depth + 2), 0xFF);
    units[0] = offset(256);
    units[256 ^ 0xFF] = 0;
    for (std::uint32_t level = 1; level <= depth; ++level) {
      const std::uint32_t node = (256 * level) ^ 'a', children = 256 * (level + 1);
      units[node] = offset(node ^ children) | kHasLeaf | 'a';
      units[children] = kValue;
      units[children ^ 0xFF] = 0;
    }
    EXPECT_EQ(fault_of_charsmap(table_of(units, kReplacements)).empty(), depth == 32) << depth;
  }
}

}  // namespace
}  // namespace sluice::text
