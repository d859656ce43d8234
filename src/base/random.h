// Counter-based random numbers: Philox4x32-10 (Salmon et al. 2011, "Parallel Random Numbers: As
// Easy as 1, 2, 3").
//
// A stream is identified by a key and yields its n-th value in O(1). There is no generator state to
// save in a checkpoint, and values do not depend on the order of the draws.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace sluice {

using Block128 = std::array<std::uint32_t, 4>;

// One block of Philox4x32-10.
Block128 philox(std::uint64_t key, std::uint64_t counter_low, std::uint64_t counter_high = 0);

// Derives a 64-bit key from a seed, a purpose ("init", "order", "dropout") and optional coordinates
// (step, layer, ...).
std::uint64_t random_key(std::uint64_t seed, std::string_view purpose,
                         std::initializer_list<std::uint64_t> coordinates = {});

// The state of random_key() after the seed and the words of the purpose. Kernels that continue from
// it (ops/dropout.cu) absorb the coordinates and the length of the purpose, in this order.
std::uint64_t purpose_key(std::uint64_t seed, std::string_view purpose);

// Value n of the stream `key`.
std::uint64_t random_bits(std::uint64_t key, std::uint64_t n);
// In [0, 1), with 53 random bits.
double random_uniform(std::uint64_t key, std::uint64_t n);
// Standard normal: Box-Muller on one block per value.
double random_normal(std::uint64_t key, std::uint64_t n);
// In [0, bound), by multiply-shift.
std::uint64_t random_below(std::uint64_t key, std::uint64_t n, std::uint64_t bound);

}  // namespace sluice
