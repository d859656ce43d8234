#include "stats/power.h"

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

// `delta` >= 0.
double power_at(const Test& test, double delta) {
  // Here T < critical requires a normal value below -8 or a χ above √df + 8: probability below
  // 1e-13 (χ is Lipschitz in normal values).
  if (delta > test.critical * (1 + 8 / std::sqrt(test.df)) + 8) return 1;
  return 1 - noncentral_t_cdf(test.critical, test.df, delta) +
         noncentral_t_cdf(-test.critical, test.df, delta);
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

std::optional<std::int64_t> seeds_needed(const Design& design, double difference) {
  constexpr std::int64_t kMaxSeeds = 1'000'000;
  if (!(difference > 0))
    fail(ExitCode::kUsage, "difference to detect", cat(difference), "a number above 0");
  const auto suffices = [&](std::int64_t num_seeds) {
    Design with = design;
    with.num_seeds = num_seeds;
    const std::optional<double> detectable = detectable_difference(with);
    return detectable && *detectable <= difference;
  };
  check(design);
  const auto min = static_cast<std::int64_t>(min_seeds(design.level));
  if (suffices(min)) return min;
  std::int64_t low = min, high = 2 * min;  // low never suffices
  while (high < kMaxSeeds && !suffices(high)) {
    low = high;
    high *= 2;
  }
  if (high >= kMaxSeeds) high = kMaxSeeds;
  if (!suffices(high)) return std::nullopt;
  while (high - low > 1) {
    const std::int64_t middle = low + (high - low) / 2;
    (suffices(middle) ? high : low) = middle;
  }
  return high;
}

}  // namespace sluice::stats
