// Event files: frames, and reading damaged ones. tests/app/tensorboard_test.cpp reads them with
// TensorBoard.
#include "store/event_file.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

namespace sluice::store {
namespace {

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    text += kDigits[static_cast<unsigned char>(byte) >> 4];
    text += kDigits[static_cast<unsigned char>(byte) & 15];
  }
  return text;
}

std::string three_events() {
  const std::array scalars = {Scalar{"train/loss", 2.5}, Scalar{"train/lr", NAN}};
  const std::array histograms = {std::pair<std::string, Histogram>(
      "weights/w", {.min = 0, .max = 1, .num_values = 2, .limits = {1}, .counts = {2}})};
  return framed(version_event(1.5)) + framed(scalar_event({2.5, 7}, scalars)) +
         framed(histogram_event({3.5, 8}, histograms));
}

// The CRC-32C of "123456789" is 0xe3069283, the check value in catalogs of CRCs.
TEST(EventFile, AFrameHasTheLengthAndTwoMaskedSums) {
  const std::string frame = framed("123456789");
  EXPECT_EQ(hex(frame.substr(0, 8)), "0900000000000000");
  EXPECT_EQ(frame.substr(12, 9), "123456789");
  // rotr(0xe3069283, 15) + 0xa282ead8
  const std::uint32_t crc = 0xe3069283U;
  const std::uint32_t masked = ((crc >> 15) | (crc << 17)) + 0xa282ead8U;
  std::string expected;
  for (int i = 0; i < 4; ++i) expected += static_cast<char>((masked >> (8 * i)) & 0xFF);
  EXPECT_EQ(hex(frame.substr(21)), hex(expected));
}

TEST(EventFile, FramesHaveTheirStepTimeAndTag) {
  const std::string content = three_events();
  const EventFrames read = read_event_frames(content);
  ASSERT_EQ(read.frames.size(), 3u);
  EXPECT_EQ(read.num_valid_bytes, content.size());
  EXPECT_TRUE(read.frames[0].is_header);
  EXPECT_EQ(read.frames[0].time.wall_s, 1.5);
  EXPECT_FALSE(read.frames[1].is_header);
  EXPECT_EQ(read.frames[1].tag, "train/loss");
  EXPECT_EQ(read.frames[1].time.step, 7);
  EXPECT_EQ(read.frames[2].tag, "weights/w");
  EXPECT_FALSE(read.frames[2].is_header);
  const std::string text =
      framed(text_event({1, 0}, "config", "x")) +
      framed(
          hparams_event(1, std::array{std::pair<std::string, std::string>{"model.ffn", "swiglu"}}));
  for (const EventFrame& frame : read_event_frames(text).frames) EXPECT_TRUE(frame.is_header);
}

TEST(EventFile, ATornTailLeavesTheFramesBeforeIt) {
  const std::string content = three_events();
  const EventFrames whole = read_event_frames(content);
  for (std::size_t size = 0; size < content.size(); ++size) {
    const std::string torn = content.substr(0, size);
    std::size_t bytes = 0, count = 0;
    for (const EventFrame& frame : whole.frames) {
      if (bytes + frame.frame.size() > size) break;
      bytes += frame.frame.size();
      ++count;
    }
    const EventFrames read = read_event_frames(torn);
    EXPECT_EQ(read.frames.size(), count) << size;
    EXPECT_EQ(read.num_valid_bytes, bytes) << size;
  }
}

TEST(EventFile, AnyChangedByteEndsTheFile) {
  const std::string content = three_events();
  const EventFrames whole = read_event_frames(content);
  std::size_t begin = 0;
  for (std::size_t i = 0; i < whole.frames.size(); ++i) {
    for (std::size_t k = 0; k < whole.frames[i].frame.size(); ++k) {
      std::string damaged = content;
      damaged[begin + k] = static_cast<char>(damaged[begin + k] ^ 0x40);
      EXPECT_EQ(read_event_frames(damaged).frames.size(), i) << begin + k;
    }
    begin += whole.frames[i].frame.size();
  }
}

TEST(EventFile, AFrameWithoutAnEventIsDamage) {
  EXPECT_EQ(read_event_frames(framed("\xff\xff\xff")).frames.size(), 0u);
  EXPECT_EQ(read_event_frames(std::string(64, '\xff')).frames.size(), 0u);
  // A summary whose value is cut.
  EXPECT_EQ(read_event_frames(framed(std::string("\x2a\x03\x0a\x7f\x0a", 5))).frames.size(), 0u);
}

}  // namespace
}  // namespace sluice::store
