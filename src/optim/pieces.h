// Splits the arena into pieces of a fixed size, the unit of work and of summation. Results do not
// depend on which thread processes which piece.
#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace sluice::optim {

// Elements of a piece: five fp32 streams of this length fit a level-2 cache.
constexpr std::int64_t kPieceElements = 16384;

// Calls body(i) for each i < `count`, on all threads.
template <typename Body>
void parallel_for_each(std::size_t count, const Body& body) {
  at::parallel_for(0, static_cast<std::int64_t>(count), 1,
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t i = begin; i < end; ++i) body(static_cast<std::size_t>(i));
                   });
}

// Calls body(first, last) for each piece of [begin, end).
template <typename Body>
void for_each_piece(std::int64_t begin, std::int64_t end, std::int64_t piece, const Body& body) {
  for (std::int64_t at = begin; at < end; at += piece) body(at, std::min(at + piece, end));
}

inline double sum_of(const std::vector<double>& parts) {
  double sum = 0;
  for (const double part : parts) sum += part;
  return sum;
}

}  // namespace sluice::optim
