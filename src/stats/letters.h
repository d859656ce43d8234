// Compact letter display by insert-and-absorb (Piepho 2004, "An algorithm for a letter-based
// representation of all-pairwise comparisons", Journal of Computational and Graphical Statistics
// 13).
//
// Two variants share a letter if and only if their difference is not significant. Insertion: start
// with one letter for all; for each significant pair, replace every letter that both have by two,
// each omitting one of them. Absorption: drop a letter if all its variants share another one.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace sluice::stats {

// One text per variant: "a", "ab", ... `order`: the variants sorted for display; the first has
// letter a (for log-perplexity: the lowest mean first). `significant`: the pairs that differ. The
// letters after z are A to Z, then a' and so on. InvariantError unless `order` is a permutation of
// 0…n−1 and every pair consists of two different variants.
std::vector<std::string> compact_letters(
    std::span<const std::size_t> order,
    std::span<const std::pair<std::size_t, std::size_t>> significant);

}  // namespace sluice::stats
