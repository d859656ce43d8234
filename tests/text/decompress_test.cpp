#include "text/decompress.h"

#include <gtest/gtest.h>
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
    write_text(folder_ / "file.txt", bytes);  // the name says nothing
    return read_all(folder_ / "file.txt", piece);
  }
  TemporaryDirectory folder_;
  std::string text_ = plain_text(1, 20'000);  // larger than any buffer
};

TEST_F(Decompress, ToldApartByContent) {
  ASSERT_GT(text_.size(), 500'000U);
  EXPECT_EQ(round_trip(text_), text_);
  EXPECT_EQ(round_trip(gzip(text_)), text_);
  EXPECT_EQ(round_trip(zstd(text_)), text_);
}

TEST_F(Decompress, SmallReadsGiveTheSame) {
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

TEST_F(Decompress, ZeroPaddingBehindGzipIsNoFault) { EXPECT_EQ(round_trip(gzip("text") + std::string(1000, '\0')), "text"); }

TEST_F(Decompress, EveryTruncationIsRefused) {
  const std::string text = text_.substr(0, 600);
  for (const std::string& whole : {gzip(text), zstd(text)}) {
    for (std::size_t size = 4; size < whole.size(); ++size) {
      const std::string message = message_of(ExitCode::kBadData, [&] { round_trip(std::string_view(whole).substr(0, size)); });
      ASSERT_NE(message.find("file.txt"), std::string::npos) << message;
    }
  }
}

TEST_F(Decompress, DamageAndRubbishBehindAreRefused) {
  std::string damaged = gzip(text_);
  damaged[damaged.size() / 2] ^= 1;
  message_of(ExitCode::kBadData, [&] { round_trip(damaged); });
  message_of(ExitCode::kBadData, [&] { round_trip(gzip("text") + "rubbish"); });
  message_of(ExitCode::kBadData, [&] { round_trip(zstd("text") + "rubbish"); });
}

// A frame header that asks for a window of 2 GiB: twelve bytes must not cost that much memory.
TEST_F(Decompress, HugeWindowsAreRefused) {
  const std::string frame("\x28\xB5\x2F\xFD\x00\xA8\x01\x00\x00", 9);
  message_of(ExitCode::kBadData, [&] { round_trip(frame); });
}

TEST_F(Decompress, MissingFilesAndDirectories) {
  EXPECT_NE(message_of(ExitCode::kMissingInput, [&] { open_source(folder_ / "no"); }).find("no"), std::string::npos);
  message_of(ExitCode::kMissingInput, [&] { read_all(folder_.path()); });
}

}  // namespace
}  // namespace sluice::text
