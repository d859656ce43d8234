// The division of the parameter arena among the processes of a run (Rajbhandari et al. 2020,
// "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models"): each process updates its
// part, and holds the optimizer state of this part only (stage 1).
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
  // By rank: its ranges of the arena, disjoint and in order. Of each parameter a rank has
  // consecutive elements, which follow those of the ranks before it. Empty: one process.
  std::vector<std::vector<ArenaRange>> parts{};
  // Every rank gives `count_of(its rank)` values of `all`, which are in the order of the ranks, and
  // receives the others.
  std::function<void(std::span<double> all, const std::function<std::int64_t(int)>& count_of)>
      gather{};
  // Operands of matrix products (ops::ParameterSpec::is_operand) are divided too: a process has
  // those of its part, and others only while it uses them (stage 3).
  bool of_parameters = false;

  bool is_divided() const { return !parts.empty(); }
  int size() const { return is_divided() ? static_cast<int>(parts.size()) : 1; }
  const std::vector<ArenaRange>& of(int r) const { return parts[static_cast<std::size_t>(r)]; }
  // Of this rank; without a division, the whole arena.
  std::vector<ArenaRange> own(std::int64_t arena_elements) const;
  // If the parts follow each other in the order of the ranks: rank r has the elements begins[r] to
  // begins[r + 1] - 1. Empty for one process.
  std::vector<std::int64_t> begins() const;
};

// Divides each of the regions, which follow each other, among all ranks, so that each has the same
// number of elements from the first region to the end of any: each border between two ranks is the
// cut nearest to its place. Parts may be empty. A border of a region moves to the next cut that is
// one of `parameters`, where parameters begin: their elements are to be in the order of the ranks.
// Both are sorted.
std::vector<std::vector<ArenaRange>> divide_regions(const std::vector<ArenaRange>& regions,
                                                    std::span<const std::int64_t> cuts,
                                                    std::span<const std::int64_t> parameters,
                                                    int num_ranks);

// For optimizers that update a parameter as a whole: where parameters begin.
std::vector<std::int64_t> parameter_cuts(const ops::Parameters& parameters);

}  // namespace sluice::optim
