#include "text/decompress.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <zlib.h>
#include <zstd.h>

#include "tests/base/temporary_directory.h"
#include "tests/text/text_support.h"

namespace sluice::text {
namespace {

using sluice::testing::message_of;
using sluice::testing::plain_text;
using sluice::testing::TemporaryDirectory;
using sluice::testing::write_text;

std::string gzip(std::string_view text) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string zstd(std::string_view text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  const std::size_t size = ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3);
  EXPECT_FALSE(ZSTD_isError(size));
  out.resize(size);
  return out;
}

std::string read_all(const std::filesystem::path& file, std::size_t piece = 100'000) {
  const auto source = open_source(file);
  std::string text, buffer(piece, '\0');
  while (const std::size_t count = source->read(buffer)) text.append(buffer, 0, count);
  return text;
}

class Decompress : public ::testing::Test {
 protected:
  std::string round_trip(std::string_view bytes, std::size_t piece = 100'000) {
    write_text(folder_ / "file.txt", bytes);  // the name does not matter
    return read_all(folder_ / "file.txt", piece);
  }
  TemporaryDirectory folder_;
  std::string text_ = plain_text(1, 20'000);  // larger than any buffer
};

TEST_F(Decompress, DetectsTheFormatByContent) {
  ASSERT_GT(text_.size(), 500'000U);
  EXPECT_EQ(round_trip(text_), text_);
  EXPECT_EQ(round_trip(gzip(text_)), text_);
  EXPECT_EQ(round_trip(zstd(text_)), text_);
}

TEST_F(Decompress, SmallReadsGiveTheSameText) {
  const std::string text = text_.substr(0, 5000);
  EXPECT_EQ(round_trip(gzip(text), 1), text);
  EXPECT_EQ(round_trip(zstd(text), 1), text);
  EXPECT_EQ(round_trip(zstd(text_), 7), text_);
}

TEST_F(Decompress, SeveralMembersAndFrames) {
  EXPECT_EQ(round_trip(gzip("one ") + gzip("") + gzip("two")), "one two");
  EXPECT_EQ(round_trip(zstd("one ") + zstd("") + zstd("two")), "one two");
  const std::string skippable("\x50\x2A\x4D\x18\x03\0\0\0abc", 11);
  EXPECT_EQ(round_trip(skippable + zstd("text")), "text");
}

TEST_F(Decompress, EmptyAndTinyFiles) {
  EXPECT_EQ(round_trip(""), "");
  EXPECT_EQ(round_trip("a"), "a");
  EXPECT_EQ(round_trip("\x1F"), "\x1F");
  EXPECT_EQ(round_trip(gzip("")), "");
  EXPECT_EQ(round_trip(zstd("")), "");
}

TEST_F(Decompress, AcceptsZeroPaddingAfterGzip) {
  EXPECT_EQ(round_trip(gzip("text") + std::string(1000, '\0')), "text");
}

TEST_F(Decompress, RejectsEveryTruncation) {
  const std::string text = text_.substr(0, 600);
  for (const std::string& whole : {gzip(text), zstd(text)}) {
    for (std::size_t size = 4; size < whole.size(); ++size) {
      const std::string message = message_of(
          ExitCode::kBadData, [&] { round_trip(std::string_view(whole).substr(0, size)); });
      ASSERT_NE(message.find("file.txt"), std::string::npos) << message;
    }
  }
}

TEST_F(Decompress, RejectsDamageAndTrailingBytes) {
  std::string damaged = gzip(text_);
  damaged[damaged.size() / 2] ^= 1;
  message_of(ExitCode::kBadData, [&] { round_trip(damaged); });
  message_of(ExitCode::kBadData, [&] { round_trip(gzip("text") + "rubbish"); });
  message_of(ExitCode::kBadData, [&] { round_trip(zstd("text") + "rubbish"); });
}

// A zstd frame of uncompressed blocks with this window descriptor: 0xA8 is 2 GiB, as written by
// `zstd --long=31`.
std::string frame_with_window(char descriptor, std::string_view text) {
  std::string frame = std::string("\x28\xB5\x2F\xFD\x00", 5) + descriptor;
  do {
    const std::string_view block = text.substr(0, 100'000);
    text.remove_prefix(block.size());
    const std::size_t header = block.size() << 3 | (text.empty() ? 1 : 0);
    for (const int shift : {0, 8, 16}) frame += static_cast<char>(header >> shift & 0xFF);
    frame += block;
  } while (!text.empty());
  return frame;
}

TEST_F(Decompress, WindowsUpToTwoGibibytes) {
  // 128 MiB, 256 MiB, 1 GiB, 2 GiB
  for (const char* descriptor : {"\x88", "\x90", "\xA0", "\xA8"}) {
    EXPECT_EQ(round_trip(frame_with_window(*descriptor, text_)), text_);
    EXPECT_EQ(round_trip(zstd("one ") + frame_with_window(*descriptor, "two") + zstd(" three")),
              "one two three");
  }
  for (const char* descriptor : {"\xA9", "\xB0", "\xF8"}) {
    const std::string message =
        message_of(ExitCode::kBadData, [&] { round_trip(frame_with_window(*descriptor, text_)); });
    EXPECT_NE(message.find("a window above 2 GiB"), std::string::npos) << message;
    EXPECT_EQ(message.find("damaged"), std::string::npos) << message;
  }
}

TEST_F(Decompress, ReportsTrailingBytes) {
  for (const std::string& rest : {std::string("rubbish"), gzip("x"), std::string(10, '\0')}) {
    const std::string message =
        message_of(ExitCode::kBadData, [&] { round_trip(zstd("text") + rest); });
    EXPECT_NE(message.find("trailing bytes after the zstd data"), std::string::npos) << message;
  }
  for (const std::string& rest : {std::string("rubbish"), zstd("x"), std::string(10, '\0') + "x"}) {
    const std::string message =
        message_of(ExitCode::kBadData, [&] { round_trip(gzip("text") + rest); });
    EXPECT_NE(message.find("trailing bytes after the gzip data"), std::string::npos) << message;
  }
  const std::string skippable("\x5F\x2A\x4D\x18\x02\0\0\0ab", 10);
  EXPECT_EQ(round_trip(skippable + zstd("one") + skippable + zstd(" two") + skippable), "one two");
  EXPECT_EQ(round_trip(skippable), "");
}

// Opening a FIFO would block until it has a writer.
TEST_F(Decompress, OpensOnlyRegularFiles) {
  ASSERT_EQ(::mkfifo((folder_ / "fifo").c_str(), 0600), 0);
  EXPECT_NE(
      message_of(ExitCode::kMissingInput, [&] { open_source(folder_ / "fifo"); }).find("a FIFO"),
      std::string::npos);
  EXPECT_NE(message_of(ExitCode::kMissingInput, [&] { open_source("/dev/null"); }).find("a device"),
            std::string::npos);
  EXPECT_NE(
      message_of(ExitCode::kMissingInput, [&] { open_source(folder_.path()); }).find("a directory"),
      std::string::npos);
}

TEST_F(Decompress, MissingFilesAndDirectories) {
  EXPECT_NE(message_of(ExitCode::kMissingInput, [&] { open_source(folder_ / "no"); }).find("no"),
            std::string::npos);
  message_of(ExitCode::kMissingInput, [&] { read_all(folder_.path()); });
}

}  // namespace
}  // namespace sluice::text
