// SHA-256 (FIPS 180-4): the hash of seals (compare/seal.h), which a published number must bind.
// XXH3 (hash.h) is faster, but other content with the same hash can be constructed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace sluice {

class Sha256 {
 public:
  Sha256& update(std::span<const std::byte> bytes);
  Sha256& update(std::string_view bytes);
  std::string hex() const;  // 64 lowercase digits, as printed by sha256sum

 private:
  void add_block(const std::byte* block);

  std::array<std::uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<std::byte, 64> pending_{};
  std::uint64_t num_bytes_ = 0;
};

std::string sha256_of(std::string_view bytes);
// kMissingInput if the file cannot be read.
std::string sha256_of_file(const std::filesystem::path& path);

}  // namespace sluice
