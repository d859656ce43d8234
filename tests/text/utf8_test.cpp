#include "text/utf8.h"

#include <gtest/gtest.h>

#include "tests/text/text_support.h"

namespace sluice::text {
namespace {

using testing::utf8_of;

TEST(Utf8, AllCodePointsExceptSurrogatesAreValid) {
  for (std::uint32_t code = 0; code < 0x110000; ++code) {
    const bool surrogate = code >= 0xD800 && code < 0xE000;
    ASSERT_EQ(is_valid_utf8(utf8_of(code)), !surrogate) << code;
  }
}

TEST(Utf8, EveryPairOfBytes) {
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      const std::string pair{static_cast<char>(first), static_cast<char>(second)};
      const bool two_ascii = first < 0x80 && second < 0x80;
      const bool one_character = first >= 0xC2 && first <= 0xDF && second >= 0x80 && second <= 0xBF;
      ASSERT_EQ(is_valid_utf8(pair), two_ascii || one_character) << first << ' ' << second;
    }
  }
}

TEST(Utf8, FindsInvalidBytesAtAnyPosition) {
  const std::string_view bad[] = {
      "\x80",         "\xC0\xAF",         "\xE0\x80\xAF",         "\xF0\x80\x80\xAF",
      "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xF8\x88\x80\x80\x80", "\xFF",
      "\xE2\x96",     "\xF0\x9F\x98"};
  for (const std::string_view part : bad) {
    for (std::size_t before = 0; before < 20; ++before) {
      std::string text(before, 'x');
      text += part;
      text += "yyyyyyyyyyyy";
      EXPECT_EQ(valid_utf8_prefix(text), before);
    }
  }
}

// Example of the Unicode standard, section 3.9, table 3-8: one replacement per maximal subpart.
TEST(Utf8, MaximalSubparts) {
  std::string_view rest = "\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41";
  for (const std::size_t length : {2, 1, 3, 2}) {
    ASSERT_EQ(invalid_utf8_length(rest), length);
    rest.remove_prefix(length);
  }
  EXPECT_EQ(rest, "A");
  rest = "\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41";  // table 3-8, overlong forms: each byte separately
  for (int i = 0; i < 8; ++i) {
    ASSERT_EQ(invalid_utf8_length(rest), 1U);
    rest.remove_prefix(1);
  }
}

TEST(Utf8, BoundariesDoNotSplitCharacters) {
  const std::string text = "a" + utf8_of(0xE9) + utf8_of(0x20AC) + utf8_of(0x1F600);
  const std::size_t expected[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10};
  for (std::size_t limit = 0; limit < std::size(expected); ++limit)
    EXPECT_EQ(character_boundary(text, limit), expected[limit]) << limit;
}

TEST(Utf8, CountsWithoutOverlaps) {
  EXPECT_EQ(count_occurrences("aaaa", "aa"), 2U);
  EXPECT_EQ(count_occurrences("", "x"), 0U);
  EXPECT_EQ(count_occurrences("\xE2\x96\x81\xE2\x96\x81", kWordBoundary), 2U);
}

}  // namespace
}  // namespace sluice::text
