// Additions of flat fp32 arrays in the order of cluster/slots.h, a piece at a time.
#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "cluster/slots.h"
#include "ops/parameters.h"

namespace sluice::train {

// Elements of a piece: a few of these arrays fit a level-2 cache.
constexpr std::int64_t kPiece = 8192;

// body(first element, number of elements), by several threads.
template <class Body>
void for_each_piece(const ops::ArenaRange& range, const Body& body) {
  const std::int64_t num_pieces = (range.size() + kPiece - 1) / kPiece;
  at::parallel_for(0, num_pieces, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t at = range.begin + i * kPiece;
      body(at, std::min(range.end - at, kPiece));
    }
  });
}

// sum += other
inline void add_piece(float* __restrict sum, const float* __restrict other, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) sum[i] += other[i];
}

// The sums of the open nodes of `sums`, for a piece.
using OpenSums = std::vector<std::vector<float>>;

// Appends nodes; values[i] points to the piece of node i.
inline void append_nodes(cluster::SlotSums& sums, OpenSums& open,
                         std::span<const cluster::SlotRange> nodes,
                         std::span<const float* const> values, std::int64_t piece_size) {
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    open.emplace_back(values[i], values[i] + piece_size);
    for (int merges = sums.append(nodes[i]); merges > 0; --merges) {
      const std::vector<float> right = std::move(open.back());
      open.pop_back();
      add_piece(open.back().data(), right.data(), piece_size);
    }
  }
}

}  // namespace sluice::train
