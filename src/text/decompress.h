// A file as a byte stream: plain, gzip (multiple members) or zstd (multiple frames), detected by
// the first bytes.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>

namespace sluice::text {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Reads up to out.size() bytes and returns their number; 0 at the end. kBadData if compressed
  // data is damaged or truncated, kMissingInput if reading fails.
  virtual std::size_t read(std::span<char> out) = 0;
};

// kMissingInput if the file cannot be opened.
std::unique_ptr<ByteSource> open_source(const std::filesystem::path& file);

}  // namespace sluice::text
