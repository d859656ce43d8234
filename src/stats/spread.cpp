#include "stats/spread.h"

#include <boost/math/distributions/chi_squared.hpp>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "stats/moments.h"

namespace sluice::stats {

Spread spread_of(std::span<const double> values) {
  const std::optional<double> std = sample_std(values);
  invariant(std.has_value(), "spread_of: fewer than two values");
  constexpr double kTail = 0.025;
  const double df = static_cast<double>(values.size()) - 1;
  const boost::math::chi_squared chi_squared(df);
  const double high = boost::math::quantile(chi_squared, 1 - kTail),
               low = boost::math::quantile(chi_squared, kTail);
  return {*std, {*std * std::sqrt(df / high), *std * std::sqrt(df / low)}};
}

}  // namespace sluice::stats
