// A file as a stream of bytes: plain, gzip (several members) or zstd (several frames), told apart by the first bytes.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>

namespace sluice::text {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Fills `out` from the front and returns how many bytes it put there; 0 at the end. kBadData where compressed data is
  // damaged or ends too early, kMissingInput where reading fails.
  virtual std::size_t read(std::span<char> out) = 0;
};

// kMissingInput where the file cannot be opened.
std::unique_ptr<ByteSource> open_source(const std::filesystem::path& file);

}  // namespace sluice::text
