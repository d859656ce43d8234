#include "text/decompress.h"

#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/text_format.h"
#include "text/regular_file.h"

namespace sluice::text {

namespace {

constexpr std::size_t kBufferBytes = 256 << 10;
// The maximum window of zstd, 2 GiB (`--long=31`). As in zstd itself, it is allocated while such a
// frame is read; untouched pages cost nothing.
constexpr int kMaxZstdWindowLog = 31;

class PlainSource : public ByteSource {
 public:
  explicit PlainSource(const std::filesystem::path& file)
      : name_(file.string()), file_(open_regular_file(file)) {
    std::setvbuf(file_, nullptr, _IONBF, 0);  // callers have their own buffers
  }
  ~PlainSource() override { std::fclose(file_); }
  PlainSource(const PlainSource&) = delete;
  PlainSource& operator=(const PlainSource&) = delete;

  std::size_t read(std::span<char> out) override {
    const std::size_t count = std::fread(out.data(), 1, out.size(), file_);
    if (count == 0 && std::ferror(file_) != 0)
      fail(ExitCode::kMissingInput, name_, cat("cannot read: ", std::strerror(errno)));
    return count;
  }
  void rewind() {
    if (std::fseek(file_, 0, SEEK_SET) != 0)
      fail(ExitCode::kMissingInput, name_, cat("cannot seek: ", std::strerror(errno)));
  }
  const std::string& name() const { return name_; }

 private:
  std::string name_;
  std::FILE* file_;
};

[[noreturn]] void fail_damaged(const std::string& name, std::string_view kind,
                               std::string_view reason) {
  fail(ExitCode::kBadData, name, cat("damaged ", kind, " data (", reason, ")"),
       "the complete compressed file");
}

class GzipSource : public ByteSource {
 public:
  explicit GzipSource(std::unique_ptr<PlainSource> input)
      : input_(std::move(input)), buffer_(kBufferBytes) {
    invariant(inflateInit2(&stream_, 15 + 16) == Z_OK, "cannot initialize zlib");
  }
  ~GzipSource() override { inflateEnd(&stream_); }
  GzipSource(const GzipSource&) = delete;
  GzipSource& operator=(const GzipSource&) = delete;

  std::size_t read(std::span<char> out) override {
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = static_cast<uInt>(out.size());
    while (stream_.avail_out == out.size() && refill()) step();
    return out.size() - stream_.avail_out;
  }

 private:
  // False at the end of the file, which is valid only between members.
  bool refill() {
    if (stream_.avail_in == 0) {
      stream_.avail_in = static_cast<uInt>(input_->read(buffer_));
      stream_.next_in = reinterpret_cast<Bytef*>(buffer_.data());
    }
    if (stream_.avail_in != 0) return true;
    if (inside_member_) fail_damaged(input_->name(), "gzip", "truncated");
    return false;
  }

  void step() {
    if (!inside_member_) {
      if (skip_padding()) return;
      if (num_members_ > 0 && *stream_.next_in != 0x1F)
        fail(ExitCode::kBadData, input_->name(), "trailing bytes after the gzip data");
      inflateReset(&stream_);
      inside_member_ = true;
    }
    const int status = inflate(&stream_, Z_NO_FLUSH);
    if (status == Z_STREAM_END) {
      inside_member_ = false;
      num_members_ += 1;
    } else if (status != Z_OK && status != Z_BUF_ERROR) {
      fail_damaged(input_->name(), "gzip", stream_.msg != nullptr ? stream_.msg : "unknown error");
    }
  }

  // Tapes and some tools append zero bytes after the last member; gzip also ignores them.
  bool skip_padding() {
    if (num_members_ == 0) return false;
    while (stream_.avail_in > 0 && *stream_.next_in == 0) {
      ++stream_.next_in;
      --stream_.avail_in;
    }
    return stream_.avail_in == 0;
  }

  std::unique_ptr<PlainSource> input_;
  std::vector<char> buffer_;
  z_stream stream_{};
  bool inside_member_ = false;
  int num_members_ = 0;
};

class ZstdSource : public ByteSource {
 public:
  explicit ZstdSource(std::unique_ptr<PlainSource> input)
      : input_(std::move(input)),
        buffer_(kBufferBytes),
        context_(ZSTD_createDCtx(), &ZSTD_freeDCtx) {
    invariant(context_ != nullptr, "cannot initialize zstd");
    ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kMaxZstdWindowLog);
  }

  std::size_t read(std::span<char> out) override {
    ZSTD_outBuffer target{out.data(), out.size(), 0};
    while (target.pos == 0) {
      if (pending_.pos == pending_.size && !flushing_ && !refill()) break;
      const std::size_t status = ZSTD_decompressStream(context_.get(), &target, &pending_);
      if (ZSTD_isError(status) != 0) fail_frame(status);
      inside_frame_ = status != 0;
      num_frames_ += !inside_frame_;
      flushing_ = inside_frame_ && target.pos == target.size;  // more output may be buffered
    }
    return target.pos;
  }

 private:
  [[noreturn]] void fail_frame(std::size_t status) const {
    const std::string& name = input_->name();
    const ZSTD_ErrorCode code = ZSTD_getErrorCode(status);
    if (code == ZSTD_error_frameParameter_windowTooLarge)
      fail(ExitCode::kBadData, name, "zstd data with a window above 2 GiB",
           "a window of at most 2 GiB (zstd --long=31)");
    if (code == ZSTD_error_memory_allocation)
      fail(ExitCode::kBadData, name, "a zstd window (up to 2 GiB) larger than the available memory",
           "a file compressed without --long, or more memory");
    if (code == ZSTD_error_dictionary_wrong)
      fail(ExitCode::kBadData, name, "zstd data compressed with a dictionary",
           "zstd data compressed without -D");
    if (code == ZSTD_error_prefix_unknown && num_frames_ > 0)
      fail(ExitCode::kBadData, name, "trailing bytes after the zstd data");
    fail_damaged(name, "zstd", ZSTD_getErrorName(status));
  }

  bool refill() {
    pending_ = {buffer_.data(), input_->read(buffer_), 0};
    if (pending_.size != 0) return true;
    if (inside_frame_) fail_damaged(input_->name(), "zstd", "truncated");
    return false;
  }

  std::unique_ptr<PlainSource> input_;
  std::vector<char> buffer_;
  std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context_;
  ZSTD_inBuffer pending_{nullptr, 0, 0};
  bool inside_frame_ = false;
  std::uint64_t num_frames_ = 0;
  bool flushing_ = false;
};

}  // namespace

std::unique_ptr<ByteSource> open_source(const std::filesystem::path& file) {
  auto plain = std::make_unique<PlainSource>(file);
  std::array<char, 4> magic{};
  const std::size_t count = plain->read(magic);
  plain->rewind();
  const std::string_view start(magic.data(), count);
  if (start.starts_with("\x1F\x8B")) return std::make_unique<GzipSource>(std::move(plain));
  const bool skippable =
      count == 4 && (start[0] & '\xF0') == '\x50' && start.substr(1) == "\x2A\x4D\x18";
  if (start == "\x28\xB5\x2F\xFD" || skippable)
    return std::make_unique<ZstdSource>(std::move(plain));
  return plain;
}

}  // namespace sluice::text
