#include "stats/holm.h"

#include <algorithm>
#include <cstddef>
#include <numeric>

#include "base/error.h"

namespace sluice::stats {

std::vector<double> holm_adjusted(std::span<const double> p) {
  for (const double value : p)
    invariant(value >= 0 && value <= 1, "holm_adjusted: a p outside [0, 1]");
  std::vector<std::size_t> order(p.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return p[a] < p[b]; });
  std::vector<double> adjusted(p.size());
  double largest = 0;
  for (std::size_t k = 0; k < order.size(); ++k) {
    largest = std::max(largest, std::min(1.0, static_cast<double>(order.size() - k) * p[order[k]]));
    adjusted[order[k]] = largest;
  }
  return adjusted;
}

}  // namespace sluice::stats
