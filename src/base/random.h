// Counter-based random numbers: Philox4x32-10 (Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3").
//
// A stream is named by a key, never advanced by other code, and gives its n-th value in O(1): there is no generator state
// to save in a checkpoint, and the order in which things are drawn does not matter.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace sluice {

using Block128 = std::array<std::uint32_t, 4>;

// One block of Philox4x32-10.
Block128 philox(std::uint64_t key, std::uint64_t counter_low, std::uint64_t counter_high = 0);

// A 64-bit key from a seed, a purpose ("init", "order", "dropout") and further coordinates (step, layer, ...).
std::uint64_t random_key(std::uint64_t seed, std::string_view purpose, std::initializer_list<std::uint64_t> coordinates = {});

// Value n of the stream `key`.
std::uint64_t random_bits(std::uint64_t key, std::uint64_t n);
double random_uniform(std::uint64_t key, std::uint64_t n);                            // [0, 1), 53 bits
double random_normal(std::uint64_t key, std::uint64_t n);                             // Box-Muller on one block per value
std::uint64_t random_below(std::uint64_t key, std::uint64_t n, std::uint64_t bound);  // [0, bound), multiply-shift

}  // namespace sluice
