// Parsing and writing of scalars. Expected values are written by hand.
#include "config/scalars.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "config/number_text.h"

namespace sluice::config {
namespace {

template <class T>
std::optional<T> read(std::string_view text, bool quoted = false) {
  T value{};
  const auto refusal = scalar_for(static_cast<const T*>(nullptr)).read({text, quoted}, &value);
  return refusal ? std::nullopt : std::optional(value);
}

template <class T>
std::string suggestion(std::string_view text, bool quoted = false) {
  T value{};
  const auto refusal = scalar_for(static_cast<const T*>(nullptr)).read({text, quoted}, &value);
  EXPECT_TRUE(refusal.has_value()) << text;
  return refusal ? refusal->suggestion : "";
}

TEST(Bool, AcceptsTwoWordsOnly) {
  EXPECT_EQ(read<bool>("true"), true);
  EXPECT_EQ(read<bool>("false"), false);
  for (const char* text : {"on", "off", "yes", "no", "True", "TRUE", "1", "0", "y", "", "t rue"})
    EXPECT_FALSE(read<bool>(text)) << text;
  EXPECT_FALSE(read<bool>("true", true));
  EXPECT_EQ(suggestion<bool>("on"), "true");
  EXPECT_EQ(suggestion<bool>("No"), "false");
}

TEST(Integer, AcceptsDecimalsAndWholeExponents) {
  EXPECT_EQ(read<std::int64_t>("0"), 0);
  EXPECT_EQ(read<std::int64_t>("-0"), 0);
  EXPECT_EQ(read<std::uint64_t>("-0"), 0U);
  EXPECT_EQ(read<std::int64_t>("+7"), 7);
  EXPECT_EQ(read<std::int64_t>("1e5"), 100000);
  EXPECT_EQ(read<std::int64_t>("2.5E6"), 2500000);
  EXPECT_EQ(read<std::int64_t>("120e-1"), 12);
  EXPECT_EQ(read<std::int64_t>("0e99999999999999999999"), 0);
  EXPECT_EQ(read<std::int64_t>("-9223372036854775808"), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(read<std::int64_t>("9223372036854775807"), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(read<std::uint64_t>("18446744073709551615"), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(read<std::int64_t>("9007199254740993"), 9007199254740993);  // exceeds double precision
}

TEST(Integer, RefusesAmbiguousText) {
  for (const char* text :
       {"010", "-010", "00",     "0x10", "0b1", "100_000", "1,000", "1.0",
        "1.5", "1e-1", "1.23e1", "",     "-",   "+",       "e5",    "1e",
        "5x",  "--1",  " 1",     "1 ",   "inf", "nan",     "1:30",  "\xD9\xA3"}) {
    EXPECT_FALSE(read<std::int64_t>(text)) << text;
  }
  for (const char* text :
       {"9223372036854775808", "-9223372036854775809", "1e19", "1e999999999999999999999"}) {
    EXPECT_FALSE(read<std::int64_t>(text)) << text;
  }
  EXPECT_FALSE(read<std::uint64_t>("-1"));
  EXPECT_FALSE(read<std::uint64_t>("18446744073709551616"));
  EXPECT_FALSE(read<std::int64_t>("4", true));
}

TEST(Integer, SuggestsCorrections) {
  EXPECT_EQ(suggestion<std::int64_t>("010"), "10");
  EXPECT_EQ(suggestion<std::int64_t>("-007"), "-7");
  EXPECT_EQ(suggestion<std::int64_t>("100_000"), "100000");
  EXPECT_EQ(suggestion<std::int64_t>("1,000"), "1000");
  EXPECT_EQ(suggestion<std::int64_t>("0x10"), "16");
  EXPECT_EQ(suggestion<std::int64_t>("3.0"), "3");
  EXPECT_EQ(suggestion<std::int64_t>("4", true), "4");
  EXPECT_EQ(suggestion<std::int64_t>("many"), "");
}

TEST(Double, AgreesWithStrtod) {
  for (const char* text :
       {"0", "1", "-1", "0.1", "1e-6", "2e-3", ".5", "5.", "1E5", "1e+5", "123456789.125",
        "2.2250738585072014e-308", "4.9e-324", "1.7976931348623157e308", "0.30000000000000004"}) {
    ASSERT_TRUE(read<double>(text)) << text;
    EXPECT_EQ(std::bit_cast<std::uint64_t>(*read<double>(text)),
              std::bit_cast<std::uint64_t>(std::strtod(text, nullptr)))
        << text;
  }
  EXPECT_TRUE(std::signbit(*read<double>("-0")));
  EXPECT_EQ(read<double>("+.5"), 0.5);
}

TEST(Double, RefusesTextThatIsNotAFiniteNumber) {
  for (const char* text :
       {"nan",    "NaN",    ".nan", "inf",   "-inf", ".inf",  "infinity", "1e999",
        "-1e999", "1e-999", "010",  "00.5",  "1_0",  "0x1p3", ".",        "e",
        "1e",     "1e+",    "",     "1.2.3", "1 2",  "0,5"}) {
    EXPECT_FALSE(read<double>(text)) << text;
  }
  EXPECT_EQ(suggestion<double>("00.5"), "0.5");
  EXPECT_FALSE(read<double>("0.5", true));
}

TEST(Text, AcceptsAnyTextWithoutNul) {
  EXPECT_EQ(read<std::string>("on"), "on");
  EXPECT_EQ(read<std::string>("010", true), "010");
  EXPECT_EQ(read<std::string>("", true), "");
  EXPECT_FALSE(read<std::string>(std::string_view("a\0b", 3), true));
}

TEST(BytesText, UnitsAreExact) {
  const std::pair<const char*, std::int64_t> cases[] = {
      {"1000", 1000},
      {"0", 0},
      {"512MiB", 536870912},
      {"2GB", 2000000000},
      {"64KiB", 65536},
      {"1kB", 1000},
      {"1KB", 1000},
      {"1.5GiB", 1610612736},
      {"0.5KiB", 512},
      {"1.25kB", 1250},
      {"12B", 12},
      {"2 GiB", 2147483648},
      {"1TiB", 1099511627776},
      {"1e3", 1000},
      {"1.0009765625KiB", 1025},
      {"9223372036854775807", 9223372036854775807}};
  for (const auto& [text, count] : cases) {
    ASSERT_TRUE(read<Bytes>(text)) << text;
    EXPECT_EQ(read<Bytes>(text)->count, count) << text;
  }
  for (const char* text : {"-1", "512mb", "512M", "MiB", "1.5", "0.3B", "0.1KiB", "1  MiB", "1MiBs",
                           "9223372036854775808", "8388608TiB", "nan", "inf", "0x10", "010", "1 ",
                           "", "1e30", "1e-1"}) {
    EXPECT_FALSE(read<Bytes>(text)) << text;
  }
  EXPECT_EQ(suggestion<Bytes>("512mb"), "512MB");
  EXPECT_EQ(suggestion<Bytes>("512mib"), "512MiB");
  EXPECT_EQ(suggestion<Bytes>("64MiB", true), "64MiB");
}

TEST(BytesText, WritesTheLargestExactUnit) {
  const Scalar& type = scalar_for(static_cast<const Bytes*>(nullptr));
  const std::pair<std::int64_t, const char*> cases[] = {{0, "0"},
                                                        {1, "1"},
                                                        {1024, "1KiB"},
                                                        {1000, "1kB"},
                                                        {67108864, "64MiB"},
                                                        {2000000000, "2GB"},
                                                        {1025, "1025"},
                                                        {-1, "-1"}};
  for (const auto& [count, text] : cases) {
    const Bytes bytes{count};
    EXPECT_EQ(type.write(&bytes), text);
  }
}

TEST(SecondsText, UnitsAndPlainSeconds) {
  const std::pair<const char*, double> cases[] = {
      {"30s", 30},     {"10min", 600}, {"2h", 7200},  {"1d", 86400},   {"90", 90},
      {"250ms", 0.25}, {"1.5h", 5400}, {"1e2s", 100}, {"10 min", 600}, {"0.1s", 0.1}};
  for (const auto& [text, count] : cases) {
    ASSERT_TRUE(read<Seconds>(text)) << text;
    EXPECT_EQ(read<Seconds>(text)->count, count) << text;
  }
  for (const char* text :
       {"-1s", "10m", "10sec", "s", "1e400s", "1e308d", "nan", "5 s s", "1h30min", "010s", ""}) {
    EXPECT_FALSE(read<Seconds>(text)) << text;
  }
  EXPECT_EQ(suggestion<Seconds>("10m"), "10min");
  EXPECT_EQ(suggestion<Seconds>("5sec"), "5s");
}

TEST(SecondsText, WrittenTextReadsBackExactly) {
  const Scalar& type = scalar_for(static_cast<const Seconds*>(nullptr));
  for (const double count : {0.0, 0.1, 1.0, 59.0, 60.0, 90.0, 90.5, 3600.0, 7200.0, 86400.0, 1e11,
                             1e12, 1e300, 4.9e-324, 1.0 / 3}) {
    const Seconds seconds{count};
    const auto again = read<Seconds>(type.write(&seconds));
    ASSERT_TRUE(again) << count << " as " << type.write(&seconds);
    EXPECT_EQ(again->count, count) << type.write(&seconds);
  }
  const Seconds ten_minutes{600};
  EXPECT_EQ(type.write(&ten_minutes), "10min");
}

TEST(NearestName, FindsTyposOnly) {
  const std::array<std::string_view, 5> names = {"swiglu", "geglu", "relu", "learning_rate", "lr"};
  EXPECT_EQ(nearest("swigl", names), "swiglu");
  EXPECT_EQ(nearest("swilgu", names), "swiglu");  // a transposition counts once
  EXPECT_EQ(nearest("learning_rte", names), "learning_rate");
  EXPECT_EQ(nearest("learning", names), "learning_rate");
  EXPECT_EQ(nearest("rl", names), "lr");
  EXPECT_EQ(nearest("banana", names), "");
  EXPECT_EQ(nearest("", names), "");
  EXPECT_EQ(nearest(std::string(100000, 'l'), names), "");
}

TEST(LimitsOfRows, CheckAndDescribe) {
  const Limits any;
  EXPECT_TRUE(any.allow(-1e300L));
  EXPECT_EQ(any.words(), "");
  const Limits positive{.low = 0, .low_open = true};
  EXPECT_FALSE(positive.allow(0));
  EXPECT_FALSE(positive.allow(-0.0L));
  EXPECT_TRUE(positive.allow(4.9e-324L));
  EXPECT_EQ(positive.words(), "greater than 0");
  const Limits between{.low = 0.5, .high = 1e9, .divisor = 8};
  EXPECT_TRUE(between.allow(16));
  EXPECT_FALSE(between.allow(12));
  EXPECT_FALSE(between.allow(1000000008));
  EXPECT_EQ(between.words(), "from 0.5 to 1000000000, a multiple of 8");
}

TEST(Nearest, IgnoresCaseAndDashes) {
  const std::vector<std::string_view> names = {"relu", "swiglu", "geglu", "num_layers"};
  EXPECT_EQ(nearest("SwiGLU", names), "swiglu");
  EXPECT_EQ(nearest("ReLU", names), "relu");
  EXPECT_EQ(nearest("num-layers", names), "num_layers");
  EXPECT_EQ(nearest("BANANA", names), "");
}

}  // namespace
}  // namespace sluice::config
