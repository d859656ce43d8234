// XXH3-128 checksums of manifests, shards and fingerprints. Not cryptographic: detects accidental
// corruption, not tampering.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace sluice {

struct Hash128 {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  friend bool operator==(const Hash128&, const Hash128&) = default;
  friend auto operator<=>(const Hash128&, const Hash128&) = default;
  std::string hex() const;  // 32 lowercase digits
};

// Inverse of Hash128::hex(); nullopt for any other text.
std::optional<Hash128> hash_from_hex(std::string_view digits);

Hash128 hash_of(std::span<const std::byte> bytes);
Hash128 hash_of(std::string_view bytes);

// Incremental form.
class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  Hasher& update(std::span<const std::byte> bytes);
  Hasher& update(std::string_view bytes);
  Hasher& update_number(std::uint64_t value);  // eight bytes, little-endian
  Hash128 digest() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sluice
