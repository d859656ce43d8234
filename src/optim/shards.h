// The division of the parameter arena among the processes of a run (Rajbhandari et al. 2020,
// "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models", stage 1): each process
// updates its part, and holds the optimizer state of this part only.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "ops/parameters.h"

namespace sluice::optim {

using ops::ArenaRange;

struct Shards {
  int rank = 0;
  // Elements of the arena: that of rank r is begins[r] to begins[r + 1] - 1. Empty: one process.
  std::vector<std::int64_t> begins{};
  // Every rank gives `count_of(its rank)` values of `all`, which are in the order of the ranks, and
  // receives the others.
  std::function<void(std::span<double> all, const std::function<std::int64_t(int)>& count_of)>
      gather{};

  bool is_divided() const { return !begins.empty(); }
  int size() const { return is_divided() ? static_cast<int>(begins.size()) - 1 : 1; }
  // `end`: of the arena
  std::int64_t begin() const { return is_divided() ? begins[static_cast<std::size_t>(rank)] : 0; }
  std::int64_t end(std::int64_t arena_elements) const {
    return is_divided() ? begins[static_cast<std::size_t>(rank) + 1] : arena_elements;
  }
};

// Equal parts of an arena that may be cut at `cuts` only, which are sorted: each of the
// num_ranks - 1 borders is the cut nearest to its place. Parts may be empty.
std::vector<std::int64_t> divide_arena(std::int64_t arena_elements,
                                       std::span<const std::int64_t> cuts, int num_ranks);

// For optimizers that update a parameter as a whole: where parameters begin.
std::vector<std::int64_t> parameter_cuts(const ops::Parameters& parameters);

}  // namespace sluice::optim
