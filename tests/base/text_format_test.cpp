#include "base/text_format.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <sstream>

namespace sluice {
namespace {

TEST(Cat, ConcatenatesStreamOutput) {
  EXPECT_EQ(cat("step ", 3, ' ', std::string("of"), ' ', 0.5), "step 3 of 0.5");
  EXPECT_EQ(cat(), "");
  const auto equals_stream = [](const auto&... values) {
    std::ostringstream out;
    ((out << values << '|'), ...);
    EXPECT_EQ((std::string() + ... + (cat(values) + '|')), out.str());
  };
  using Int = std::numeric_limits<std::int64_t>;
  equals_stream(Int::min(), Int::max(), std::numeric_limits<std::uint64_t>::max(), -1, 1U, true,
                short{-3}, static_cast<unsigned char>('u'), 0LL, 0ULL);
  using Double = std::numeric_limits<double>;
  equals_stream(0.0, -0.0, 1.0 / 3, 1e6, 1234567.0, 1e-5, -2.5e300, 0.1F, Double::denorm_min(),
                Double::max(), Double::lowest(), Double::infinity(), -Double::infinity(),
                Double::quiet_NaN(), 1.0L / 3);
  equals_stream(std::string_view("view"), std::filesystem::path("a b"), std::string(), 'c');
}

TEST(Fixed, RoundsToTheGivenDigits) {
  EXPECT_EQ(fixed(3.14159, 2), "3.14");
  EXPECT_EQ(fixed(-0.5, 0), "-0");
  EXPECT_EQ(fixed(1e20, 1), "100000000000000000000.0");
}

TEST(Shortest, ParsesToTheSameDouble) {
  EXPECT_EQ(shortest(0.1), "0.1");
  EXPECT_EQ(shortest(1e-6), "1e-06");
  for (const double value : {1.0 / 3, 5e-324, std::numeric_limits<double>::max(), 0.1 + 0.2, -0.0})
    EXPECT_EQ(std::strtod(shortest(value).c_str(), nullptr), value);
}

TEST(Fixed, NotANumberHasNoSign) {
  EXPECT_EQ(fixed(-std::numeric_limits<double>::quiet_NaN(), 3), "nan");
  EXPECT_EQ(shortest(-std::numeric_limits<double>::quiet_NaN()), "nan");
}

TEST(ShortNumber, HasThreeDigits) {
  EXPECT_EQ(short_number(0.0008231179999711458), "0.000823");
  EXPECT_EQ(short_number(0.1), "0.1");
}

TEST(CountOf, HandlesSingularAndPlural) {
  EXPECT_EQ(count_of(1, "step"), "1 step");
  EXPECT_EQ(count_of(1200, "step"), "1,200 steps");
  EXPECT_EQ(count_of(2, "process"), "2 processes");
  EXPECT_EQ(count_of(2, "micro-batch"), "2 micro-batches");
  EXPECT_EQ(count_of(2, "entry"), "2 entries");
  EXPECT_EQ(count_of(2, "key"), "2 keys");
}

TEST(WithCommas, GroupsThreeDigits) {
  EXPECT_EQ(with_commas(0), "0");
  EXPECT_EQ(with_commas(999), "999");
  EXPECT_EQ(with_commas(1000), "1,000");
  EXPECT_EQ(with_commas(1234567), "1,234,567");
  EXPECT_EQ(with_commas(-123456), "-123,456");
  EXPECT_EQ(with_commas(std::numeric_limits<std::int64_t>::min()), "-9,223,372,036,854,775,808");
}

TEST(HumanBytes, PicksTheUnit) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(1023), "1023 B");
  EXPECT_EQ(human_bytes(1536), "1.5 KiB");
  EXPECT_EQ(human_bytes(1024 * 1024 - 1), "1.0 MiB");
  EXPECT_EQ(human_bytes(300ULL << 20), "300 MiB");
  EXPECT_EQ(human_bytes(std::numeric_limits<std::uint64_t>::max()), "16.0 EiB");
}

TEST(HumanDuration, PicksTwoUnits) {
  EXPECT_EQ(human_duration(0.25), "250 ms");
  EXPECT_EQ(human_duration(4.21), "4.2 s");
  EXPECT_EQ(human_duration(59.4), "59 s");
  EXPECT_EQ(human_duration(59.6), "1 min");
  EXPECT_EQ(human_duration(125), "2 min 5 s");
  EXPECT_EQ(human_duration(3723), "1 h 2 min");
  EXPECT_EQ(human_duration(90000), "1 d 1 h");
  EXPECT_EQ(human_duration(-1), "?");
  EXPECT_EQ(human_duration(std::nan("")), "?");
}

TEST(Printable, EscapesTerminalControls) {
  EXPECT_EQ(printable("a\nb\t\x1b[31m\x7f"), "a\\nb\\t\\x1b[31m\\x7f");
  EXPECT_EQ(printable(std::string_view("\0", 1)), "\\x00");
}

TEST(Printable, EscapesEveryControlAndBidirectionalCharacter) {
  const auto utf8 = [](unsigned code) {
    std::string text;
    if (code < 0x80) return std::string(1, static_cast<char>(code));
    if (code >= 0x800) text += static_cast<char>(0xE0 | code >> 12);
    text += static_cast<char>(code < 0x800 ? 0xC0 | code >> 6 : 0x80 | (code >> 6 & 0x3F));
    return text + static_cast<char>(0x80 | (code & 0x3F));
  };
  const auto is_escaped = [](unsigned c) {
    return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0x61C || c == 0x200E || c == 0x200F ||
           (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0xFEFF ||
           c == 0xFFFE || c == 0xFFFF;
  };
  for (unsigned code = 0; code <= 0xFFFF; ++code) {
    if (code >= 0xD800 && code <= 0xDFFF) continue;  // surrogates are not valid UTF-8
    const std::string character = utf8(code), shown = printable(character);
    EXPECT_EQ(shown == character, !is_escaped(code)) << std::hex << code;
    EXPECT_EQ(shown.front() == '\\', is_escaped(code) || code == '\\') << std::hex << code;
  }
  EXPECT_EQ(printable("a\xc2\x9b"
                      "31m"),
            "a\\u009b31m");
  EXPECT_EQ(printable("ab\xe2\x80\xae"
                      "dc"),
            "ab\\u202edc");
  EXPECT_EQ(printable("\xef\xbf\xbf"), "\\uffff");
}

TEST(Printable, KeepsUtf8AndEscapesInvalidBytes) {
  EXPECT_EQ(printable("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80"),
            "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80");
  EXPECT_EQ(printable("\xff\xc3"), "\\xff\\xc3");
  EXPECT_EQ(printable("\xc0\xaf"), "\\xc0\\xaf");                    // overlong
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");           // surrogate
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");  // beyond Unicode
}

TEST(Printable, ShortensBetweenCharacters) {
  EXPECT_EQ(printable("abcdef", 4), "abcd...");
  EXPECT_EQ(printable("abcd", 4), "abcd");
  EXPECT_EQ(printable("abc\xe2\x82\xac", 4), "abc...");
  EXPECT_EQ(printable("abc\xe2\x80\xae", 8), "abc...");
  EXPECT_EQ(printable("abc\xe2\x80\xae", 9), "abc\\u202e");
}

}  // namespace
}  // namespace sluice
