#include "stats/looks.h"

#include <boost/math/distributions/normal.hpp>
#include <cmath>

#include "base/error.h"
#include "stats/sign_flip.h"

namespace sluice::stats {

double spent_level(Spending spending, double level, double share) {
  invariant(share > 0 && share <= 1, "spent_level: share outside (0, 1]");
  if (share == 1) return level;
  if (spending == Spending::kPocock) return level * std::log1p((std::exp(1.0) - 1) * share);
  const boost::math::normal normal;
  const double z = boost::math::quantile(boost::math::complement(normal, level / 2));
  return 2 * boost::math::cdf(boost::math::complement(normal, z / std::sqrt(share)));
}

std::vector<double> look_levels(std::span<const std::int64_t> looks, Spending spending,
                                double level) {
  constexpr double kRounding = 1e-12;
  std::vector<double> levels;
  double spent = 0;
  for (std::size_t k = 0; k < looks.size(); ++k) {
    invariant(looks[k] >= 2 && (k == 0 || looks[k] > looks[k - 1]),
              "look_levels: expected ascending numbers of seeds, at least 2");
    const double share = static_cast<double>(looks[k]) / static_cast<double>(looks.back());
    levels.push_back(spent_level(spending, level, share) - spent);
    const double step = smallest_p(static_cast<std::size_t>(looks[k]));
    spent += std::floor(levels.back() / step + kRounding) * step;
  }
  return levels;
}

}  // namespace sluice::stats
