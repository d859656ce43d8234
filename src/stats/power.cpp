#include "stats/power.h"

#include <algorithm>
#include <boost/math/distributions/normal.hpp>
#include <cmath>

#include "base/error.h"
#include "base/text_format.h"
#include "stats/sign_flip.h"
#include "stats/student_t.h"

namespace sluice::stats {
namespace {

void check(const Design& design) {
  const auto inside = [](double share) { return share > 0 && share < 1; };
  if (!(design.std >= 0) || !std::isfinite(design.std))
    fail(ExitCode::kUsage, "standard deviation of a run", cat(design.std), "0 or more");
  if (!inside(design.level))
    fail(ExitCode::kUsage, "level of a test", cat(design.level), "a number between 0 and 1");
  if (!inside(design.power) || design.power <= design.level)
    fail(ExitCode::kUsage, "power of a test", cat(design.power),
         "a number between the level and 1");
}

bool has_test(const Design& design) {
  return design.num_variants >= 2 && design.std > 0 &&
         design.num_seeds >= static_cast<std::int64_t>(min_seeds(design.level));
}

// The test of one comparison: degrees of freedom and critical value.
struct Test {
  double df = 0, critical = 0;
};

Test test_of(const Design& design) {
  const double comparisons = static_cast<double>(design.num_variants - 1),
               df = static_cast<double>(design.num_seeds - 1);
  return {.df = df, .critical = t_quantile(1 - design.level / (2 * comparisons), df)};
}

// P(T > critical).
double one_sided_power_at(const Test& test, double delta) {
  // T > critical requires a normal value above -delta. T < critical requires, beyond the upper
  // limit, a normal value below -8 or a χ above √df + 8 (χ is Lipschitz in normal values). Both
  // probabilities are below 1e-13.
  if (delta < -8) return 0;
  if (delta > test.critical * (1 + 8 / std::sqrt(test.df)) + 8) return 1;
  return 1 - noncentral_t_cdf(test.critical, test.df, delta);
}

double power_at(const Test& test, double delta) {
  return one_sided_power_at(test, delta) + one_sided_power_at(test, -delta);
}

double std_error_of(const Design& design) {
  return design.std * std::sqrt(2 / static_cast<double>(design.num_seeds));
}

// The noncentrality with the given power, by bisection: power_at increases from level/(v - 1) at 0.
double noncentrality_for(const Test& test, double power) {
  double low = 0, high = 1;
  while (power_at(test, high) < power) high *= 2;
  while (high - low > 1e-12 * high) {
    const double middle = low + (high - low) / 2;
    (power_at(test, middle) < power ? low : high) = middle;
  }
  return high;
}

// The seeds with which a one-sided test finds `distance`, by the normal approximation with the
// correction for t of Guenther (1981, "Sample size formulas for normal theory t tests", The
// American Statistician 35). Within a few seeds of the exact number.
double approximate_seeds(const Design& design, double distance) {
  const boost::math::normal normal;
  const double comparisons = static_cast<double>(design.num_variants - 1),
               z = boost::math::quantile(
                   boost::math::complement(normal, design.level / (2 * comparisons))),
               root = (z + boost::math::quantile(normal, design.power)) * design.std / distance;
  return 2 * root * root + z * z / 2;
}

// The smallest number of seeds with which `power_with`(design) reaches design.power; none above a
// million. The power must increase with the seeds. The search starts at `guess`.
template <class Power>
std::optional<std::int64_t> fewest_seeds(Design design, double guess, Power power_with) {
  constexpr std::int64_t kMaxSeeds = 1'000'000;
  const auto min = static_cast<std::int64_t>(min_seeds(design.level));
  const auto suffices = [&](std::int64_t num_seeds) {
    design.num_seeds = num_seeds;
    return power_with(design) >= design.power;
  };
  std::int64_t high = guess < kMaxSeeds ? static_cast<std::int64_t>(std::ceil(guess)) : kMaxSeeds;
  high = std::max(high, min);
  std::int64_t low = high - 1;
  for (std::int64_t step = 1; low >= min && suffices(low); step *= 2) {
    high = low;
    low = std::max(low - step, min - 1);
  }
  for (std::int64_t step = 1; !suffices(high); step *= 2) {
    if (high == kMaxSeeds) return std::nullopt;
    low = high;
    high = std::min(high + step, kMaxSeeds);
  }
  while (high - low > 1) {
    const std::int64_t middle = low + (high - low) / 2;
    (suffices(middle) ? high : low) = middle;
  }
  return high;
}

}  // namespace

std::optional<double> power_of(const Design& design, double difference) {
  check(design);
  invariant(std::isfinite(difference), "power_of: the difference is not finite");
  if (!has_test(design)) return std::nullopt;
  return power_at(test_of(design), std::abs(difference) / std_error_of(design));
}

std::optional<double> detectable_difference(const Design& design) {
  check(design);
  if (!has_test(design)) return std::nullopt;
  return noncentrality_for(test_of(design), design.power) * std_error_of(design);
}

std::optional<double> equivalence_power_of(const Design& design, double difference, double margin) {
  check(design);
  invariant(std::isfinite(difference) && std::isfinite(margin),
            "equivalence_power_of: the difference or the margin is not finite");
  if (!has_test(design)) return std::nullopt;
  const Test test = test_of(design);
  const double error = std_error_of(design);
  const double below = one_sided_power_at(test, (margin - difference) / error),
               above = one_sided_power_at(test, (margin + difference) / error);
  return std::max(0.0, below + above - 1);
}

std::optional<std::int64_t> seeds_needed(const Design& design, double difference) {
  if (!(difference > 0))
    fail(ExitCode::kUsage, "difference to detect", cat(difference), "a number above 0");
  check(design);
  if (design.num_variants < 2 || design.std == 0) return std::nullopt;
  return fewest_seeds(design, approximate_seeds(design, difference),
                      [&](const Design& with) { return power_of(with, difference); });
}

std::optional<std::int64_t> seeds_to_decide(const Design& design, double difference,
                                            std::optional<double> margin) {
  check(design);
  if (design.num_variants < 2 || design.std == 0) return std::nullopt;
  const double size = std::abs(difference);
  std::optional<std::int64_t> different, equivalent;
  if (size > 0) different = seeds_needed(design, size);
  // Otherwise the power does not increase with the seeds.
  if (margin && size < *margin)
    equivalent =
        fewest_seeds(design, approximate_seeds(design, *margin - size),
                     [&](const Design& with) { return equivalence_power_of(with, size, *margin); });
  if (!different || !equivalent) return different ? different : equivalent;
  return std::min(*different, *equivalent);
}

}  // namespace sluice::stats
