#include "base/hash.h"

#include <xxhash.h>

#include <array>
#include <charconv>

#include "base/error.h"

namespace sluice {
namespace {

Hash128 from_library(XXH128_hash_t hash) { return {.high = hash.high64, .low = hash.low64}; }

void append_hex(std::string& text, std::uint64_t value) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (int shift = 60; shift >= 0; shift -= 4) text.push_back(kDigits[(value >> shift) & 0xf]);
}

}  // namespace

std::string Hash128::hex() const {
  std::string text;
  text.reserve(32);
  append_hex(text, high);
  append_hex(text, low);
  return text;
}

std::optional<Hash128> hash_from_hex(std::string_view digits) {
  if (digits.size() != 32) return std::nullopt;
  Hash128 hash;
  const char *middle = digits.data() + 16, *end = digits.data() + 32;
  const auto high = std::from_chars(digits.data(), middle, hash.high, 16),
             low = std::from_chars(middle, end, hash.low, 16);
  const bool is_parsed =
      high.ptr == middle && low.ptr == end && high.ec == std::errc() && low.ec == std::errc();
  return is_parsed && hash.hex() == digits ? std::optional(hash) : std::nullopt;
}

Hash128 hash_of(std::span<const std::byte> bytes) {
  return from_library(XXH3_128bits(bytes.data(), bytes.size()));
}

Hash128 hash_of(std::string_view bytes) {
  return hash_of(std::as_bytes(std::span(bytes.data(), bytes.size())));
}

struct Hasher::State {
  std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> xxh3{XXH3_createState(),
                                                                       XXH3_freeState};
};

Hasher::Hasher() : state_(std::make_unique<State>()) {
  invariant(state_->xxh3 != nullptr && XXH3_128bits_reset(state_->xxh3.get()) == XXH_OK,
            "cannot initialize XXH3");
}
Hasher::~Hasher() = default;
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;

Hasher& Hasher::update(std::span<const std::byte> bytes) {
  if (!bytes.empty())
    invariant(XXH3_128bits_update(state_->xxh3.get(), bytes.data(), bytes.size()) == XXH_OK,
              "XXH3 update failed");
  return *this;
}

Hasher& Hasher::update(std::string_view bytes) {
  return update(std::as_bytes(std::span(bytes.data(), bytes.size())));
}

Hasher& Hasher::update_number(std::uint64_t value) {
  std::array<std::byte, 8> bytes;
  for (int i = 0; i < 8; ++i)
    bytes[static_cast<std::size_t>(i)] = static_cast<std::byte>(value >> (8 * i));
  return update(bytes);
}

Hash128 Hasher::digest() const { return from_library(XXH3_128bits_digest(state_->xxh3.get())); }

}  // namespace sluice
