// Messages of the protobuf wire format. Expected bytes are the examples of
// https://protobuf.dev/programming-guides/encoding/.
#include "base/wire_format.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <limits>

namespace sluice {
namespace {

TEST(WireWriter, WritesTheExamplesOfTheSpecification) {
  EXPECT_EQ(WireWriter().add_varint(1, 150).bytes(), "\x08\x96\x01");
  EXPECT_EQ(WireWriter().add_bytes(2, "testing").bytes(), "\x12\x07testing");
  EXPECT_EQ(WireWriter().add_message(3, WireWriter().add_varint(1, 150)).bytes(),
            "\x1a\x03\x08\x96\x01");
}

TEST(WireWriter, TheReaderReturnsWhatWasWritten) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
  const std::array<double, 2> packed = {1.5, -0.25};
  WireWriter writer;
  writer.add_varint(1, kMost).add_double(2, -1e300).add_float(3, 0.1F).add_packed_doubles(4,
                                                                                          packed);
  WireReader reader(writer.bytes());
  const auto varint = reader.next(), number = reader.next(), small = reader.next(),
             list = reader.next();
  ASSERT_TRUE(list);
  EXPECT_EQ(varint->number, kMost);
  EXPECT_EQ(std::bit_cast<double>(number->number), -1e300);
  EXPECT_EQ(std::bit_cast<float>(static_cast<std::uint32_t>(small->number)), 0.1F);
  EXPECT_EQ(list->bytes.size(), 16u);
  EXPECT_EQ(list->bytes.substr(6, 2), "\xf8\x3f");  // 1.5, little-endian
  EXPECT_FALSE(reader.next());
  EXPECT_FALSE(reader.failed());
}

}  // namespace
}  // namespace sluice
