// p-values adjusted for multiple comparisons by Holm's step-down rule (Holm 1979, "A simple
// sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6). It
// controls the family-wise error under any dependence among the tests.
//
//   p_(1) ≤ … ≤ p_(m)      adjusted p_(i) = max over k ≤ i of min(1, (m − k + 1) · p_(k))
//
// A comparison is significant at level α if its adjusted p is at most α.
#pragma once

#include <span>
#include <vector>

namespace sluice::stats {

// In the order of `p`. InvariantError for a p outside [0, 1] (NaN included).
std::vector<double> holm_adjusted(std::span<const double> p);

}  // namespace sluice::stats
