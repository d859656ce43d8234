// Compact letter display: which of several variants cannot be told apart, by insert-and-absorb (Piepho 2004, "An algorithm for a letter-based
// representation of all-pairwise comparisons", Journal of Computational and Graphical Statistics 13).
//
// Two variants share a letter if and only if their difference is not significant. Insertion: start with one letter for all; for each
// significant pair replace every letter that both hold by two, one without each. Absorption: drop a letter whose holders all hold another.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace sluice::stats {

// One text per variant: "a", "ab", ... `order`: the variants as the letters should run; letter a goes to the first of them (for
// log-perplexity: the lowest mean first). `significant`: the pairs that differ. After z come A to Z, then a' and so on.
// InvariantError unless `order` holds each of 0…n−1 once and every pair names two of them.
std::vector<std::string> compact_letters(std::span<const std::size_t> order,
                                         std::span<const std::pair<std::size_t, std::size_t>> significant);

}  // namespace sluice::stats
