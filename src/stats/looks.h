// Looks at an unfinished comparison: numbers of seeds, fixed beforehand, at which one may judge.
// Alpha spending (Lan & DeMets 1983, "Discrete sequential boundaries for clinical trials",
// Biometrika 70) divides the level among them. With the share t of the seeds:
//
//   O'Brien-Fleming   α(t) = 2 − 2 Φ(z_{1 − α/2} / √t)         almost nothing is spent early
//   Pocock            α(t) = α ln(1 + (e − 1) t)               about the same at each look
//
// Look k tests at the level α(t_k) − (what the earlier looks have spent). The sign-flip test has a
// discrete p, so look k spends the largest attainable p within its level; the rest is left for
// later looks. The sum over the looks is at most α, so the family-wise error over all of them is at
// most α exactly (union bound); no assumption about the correlation of the looks is needed.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::stats {

enum class Spending { kObrienFleming, kPocock };
constexpr auto names_of(Spending) {
  return std::array{std::pair{Spending::kObrienFleming, std::string_view("obrien_fleming")},
                    std::pair{Spending::kPocock, std::string_view("pocock")}};
}

// α(t) for a share 0 < t ≤ 1. InvariantError outside.
double spent_level(Spending spending, double level, double share);

// The level of the test at each look. `looks`: ascending numbers of seeds, the last one is the
// number of all seeds. InvariantError unless they ascend from at least 2.
std::vector<double> look_levels(std::span<const std::int64_t> looks, Spending spending,
                                double level);

}  // namespace sluice::stats
